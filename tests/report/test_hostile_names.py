"""Names of others' making steer no terminal and break no picture, wherever munet prints or draws them."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.table import Table
from rich.text import Text

from munet.cli import main
from munet.consoles import PrintableConsole
from munet.data.tasks import load_task
from munet.errors import DataError
from munet.report import drawing
from munet.report.charts import bars
from munet.report.charts.chart import Chart
from munet.report.facts.costs import Cost
from munet.text import markdown_table, printable

NAMES = (
    "\x1b[2J\x1b[31mred", "\x07\x00bell", "a\rb\nc", "\x9b31m", "\u202eright to left", "\u2028line", "<b>&\"'</b>",
    "[bold]x[/bold]", "[/x]", "a|b", "`$x$`", "--flag", "\ufffe", "]]>", "\ud800half",
)  # fmt: skip
HARMLESS = (
    "a b",
    "\u00e9t\u00e9",
    "\u0995\u09cd\u200c\u09b7",
    "\u65e5\u672c",
    "\U0001f469\u200d\U0001f52c",
    "a\u00a0b",
)


def steers(text: str) -> bool:
    return any(not letter.isprintable() for letter in text.replace("\n", "").replace("\u200d", ""))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_spelt_out(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert "\n" in printable("a\nb\x1b", keep="\n")
    for text in (drawing.xml_text(name), drawing.label(0, 0, name, size=10), "".join(drawing.head(9, 9, name))):
        ElementTree.fromstring(f"<svg>{text}{'</svg>' if '<svg' in text else ''}</svg>")
    assert ElementTree.fromstring(f"<a b={drawing.xml_attribute(name)}/>").attrib["b"] == shown
    assert len(markdown_table(["a"], [[name]]).splitlines()) == 3


@pytest.mark.parametrize("name", HARMLESS)
def test_names_of_all_scripts_stay_as_they_are(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize("name", NAMES)
def test_consoles_and_figures_take_them(name: str) -> None:
    stream = io.StringIO()
    console = PrintableConsole(file=stream, force_terminal=True, width=60)
    table = Table("name")
    table.add_row(Text(name, "bold"))
    console.print(table)
    console.print(name, markup=False)
    assert "\x1b[1m" in stream.getvalue()  # rich's own
    plain = PrintableConsole(file=(stream := io.StringIO()), width=60)
    plain.print(table)
    assert not steers(stream.getvalue())
    cost = Cost(name, 1, 1, 0, 1, 1.0)
    picture = Chart("costs", name, name, bars.costs([cost]) or {}).svg().decode()
    assert not steers(picture)
    ElementTree.fromstring(picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with classes of such names, as far as a file system takes them."""
    place = tmp_path / "t\x1b[2J"
    for name in [name for name in NAMES if "/" not in name and "\0" not in name and name.isascii()]:
        (place / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (4, 4), (number * 20, len(name), ord(name[0]))).save(place / name / f"\x1b{number}.png")
    return place


def test_the_command_line_prints_them(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data", f"folder:{folder}", "--sheet_dir="]) == 0
    printed = capsys.readouterr()
    assert not steers(printed.out + printed.err)
    assert "\\x1b" in printed.out
    assert main(["data", f"folder:{folder}/nothing\x1b[2J", "--sheet_dir="]) == 2
    printed = capsys.readouterr()
    assert not steers(printed.out + printed.err)
    assert main(["status", f"--workdir={tmp_path}/\x1b]0;title\x07"]) == 2
    assert not steers(capsys.readouterr().err)


def test_classes_that_are_not_utf_8_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (b"a\xff", b"b"):
        place = bytes(tmp_path) + b"/task/" + name
        for number in range(12):
            path = Path((place + b"/%d.png" % number).decode(sys.getfilesystemencoding(), "surrogateescape"))
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), number * 20).save(path)
    assert main(["data", f"folder:{tmp_path}/task", "--sheet_dir="]) == 0
    assert "a\ufffd, b" in capsys.readouterr().out


def test_a_task_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a\udcff.npz", images=np.zeros((40, 4, 4), np.uint8), labels=np.arange(40) % 2)
    with pytest.raises(DataError, match="is not UTF-8"):
        load_task(f"npz:{tmp_path}/a\udcff.npz")
