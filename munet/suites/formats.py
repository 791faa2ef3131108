"""How tables of results write numbers, and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from munet.suites.summary import Sample


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, body)]
    return "\n".join(lines)


def accuracy(spread: Sample) -> str:
    """`91.41 ± 1.06` percent; without a deviation if there is only one run."""
    return f"{100 * spread.mean:.2f}" + ("" if spread.std is None else f" ± {100 * spread.std:.2f}")


def millions(spread: Sample) -> str:
    """`1.525`, with its deviation where runs differ."""
    text, deviation = f"{spread.mean / 1e6:.3f}", f"{(spread.std or 0.0) / 1e6:.3f}"
    return f"{text} ± {deviation}" if float(deviation) else text


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
