"""Numbers in words, the same wherever munet speaks (counts, times, shares, bytes, versions); tables in text."""

from __future__ import annotations

import importlib.metadata
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from munet.types import Quality

_JOINERS = "\u00ad\u200c\u200d"  # of letters and emoji: they belong to words

if TYPE_CHECKING:
    from rich.console import Console


def count(number: int, one: str, many: str = "") -> str:
    """`1 step`, `2 steps`, `1,000 children`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 05 s`, `2 h 10 min`, `6 days 02 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400:,} days {whole % 86400 // 3600:02d} h"


def percent(quality: Quality) -> str:
    """`98.2`, of a hundred; enough digits that one image more shows where the set is small."""
    return f"{100 * quality.value:.1f}"


def percent_or_dash(quality: Quality | None) -> str:
    """`98.21%`, or `-` where nothing is measured."""
    return f"{quality.value:.2%}" if quality else "-"


def interval_text(interval: tuple[float, float], digits: int = 1, between: str = "-") -> str:
    """`98.0-99.9`, of a hundred: an interval of shares."""
    low, high = (f"{100 * bound + 0.0:.{digits}f}" for bound in interval)
    return f"{low}{between}{high}"


def with_interval(share: float, interval: tuple[float, float] | None, digits: int = 2) -> str:
    """`99.44% (98.0-99.9)`: a share with its interval, if it has one."""
    return f"{share:.{digits}%}" + (f" ({interval_text(interval)})" if interval else "")


def byte_size(number: float) -> str:
    """`1.5 GiB`, `300 MiB`, `12 KiB`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{number / 1024:.0f} KiB"


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; one that the file system gave need not be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str, keep: str = "") -> str:
    """A text in which whatever would steer a terminal, turn the direction of reading or break a line is spelt out.

    `a\\x1b[2J` for a class that is called so. The one function for names of others' making (classes, tasks, files)
    wherever munet prints or draws.

    Args:
      text: anything.
      keep: characters that stay: "\\n" for a text of several lines.
    """
    return "".join(letter if letter in keep or letter.isprintable() else _spelt(letter) for letter in text)


def _spelt(letter: str) -> str:
    if letter in _JOINERS or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape", "surrogatepass").decode()


def package_version(package: str) -> str:
    """`0.3.0`: the version of an installed package; `not installed` if it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right; a `|` in a cell stays what it is, and every cell is `printable`."""
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(printable(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def say(text: str, file: TextIO | None = None) -> None:
    """Prints a text of one or several lines, all of it `printable`, at once."""
    print(printable(text, keep="\n"), file=file, flush=True)


def say_beside(text: str) -> None:
    """Prints what takes long, or how far it is, on standard error: beside the output and not in it."""
    say(text, sys.stderr)


def plain_console(width: int = 140) -> Console:
    """A console on standard output: as wide as its window, or `width` letters in a pipe, where there is none to fit.

    All that is printed on it is `printable`, but for rich's own colours.
    """
    from munet.consoles import PrintableConsole  # rich is slow to import

    return PrintableConsole() if sys.stdout.isatty() else PrintableConsole(width=width)
