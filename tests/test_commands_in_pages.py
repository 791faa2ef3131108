"""Every `munet` command, setting and file that README and docs/ show is one that there is."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest

from munet.cli.parser import make_parser
from munet.config.fields import full_name
from munet.config.flags import parse_any_config, split_overrides
from munet.errors import UserError
from munet.kinds import KINDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_COMMANDS = "|".join(make_parser().help_texts())
_LINE = re.compile(rf"^(?: {{4}}|until )(munet (?:{_COMMANDS}) .*)$", re.MULTILINE)
_INLINE = re.compile(rf"`(munet (?:{_COMMANDS}) [^`]*)`")
_COMMENT = re.compile(r"\s+#\s.*")
_SHELL = {"|", "||", "&&", ">", ";"}  # what follows one of these is no argument
_PLACEHOLDERS = {"...", "NEW", "IMAGE_OR_FOLDER..."}
_DEFAULTS = {
    "evolve": "demo",
    "config": "demo",
    "devices": "demo",
    "pretrain": "pretrain_demo",
    "train": "joint:shared",
}


def commands() -> list[tuple[str, str]]:
    """Page and command, as one types it."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        shown = {*_LINE.findall(text), *(re.sub(r"\s+", " ", command) for command in _INLINE.findall(text))}
        found += [(str(page.relative_to(ROOT)), _COMMENT.sub("", command)) for command in sorted(shown)]
    return found


def words_of(command: str) -> list[str]:
    """Its arguments, without brackets around what may be left out."""
    words = shlex.split(re.sub(r"\[(--[^\]]*)\]", r"\1", command).replace("; ", " ; "))[1:]
    words = list(itertools.takewhile(lambda word: word not in _SHELL, words))
    return [word for word in words if word not in _PLACEHOLDERS]


def is_a_pattern(command: str) -> bool:
    """Whether it stands for several: `--config=gumbel:mnist[,shared|,none]`."""
    return re.search(r"--config=\S*(?:\[|:\.\.\.|,\.\.\.)", command) is not None


def test_every_command_is_one_that_munet_takes() -> None:
    shown = commands()
    assert len(shown) > 200
    parser, wrong = make_parser(), []
    for page, command in shown:
        try:
            parser.parse(words_of(command))
        except UserError as error:
            wrong.append(f"{page}: {command}: {error}")
        except SystemExit:  # --help
            continue
    assert not wrong


def test_every_config_of_a_command_is_one_with_these_settings() -> None:
    wrong = []
    for page, command in commands():
        name, *words = words_of(command)
        if name not in _DEFAULTS or is_a_pattern(command):
            continue
        rest, overrides = split_overrides(words)
        given = next((word.removeprefix("--config=") for word in rest if word.startswith("--config=")), "...")
        spec = _DEFAULTS[name] if given in {"...", "NAME", "FILE"} or given.partition(":")[0].endswith(".py") else given
        try:
            parse_any_config(spec, [item for item in overrides if item.value != "..."])
        except UserError as error:
            wrong.append(f"{page}: {command}: {error}")
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_and_file_of_a_page_is_there(page: Path) -> None:
    text = page.read_text()
    settings = set(re.findall(r"--config\.([a-z_][\w.]*\w)", text)) - {"name"}
    unknown = [name for name in settings if not any(_is_setting(name, kind.config) for kind in KINDS)]
    files = re.findall(r"`((?:munet|tests|docs|configs|launch|benchmarks)/[\w./]+)`", text)
    files += [f"{name.replace('.', '/')}.py" for name in re.findall(r"python -m (benchmarks\.[\w.]+)", text)]
    assert not unknown
    assert not [name for name in files if not (ROOT / name).exists()]


def _is_setting(name: str, config: type) -> bool:
    try:
        full_name(name, config)
    except ValueError:
        return False
    return True
