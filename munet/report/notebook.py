"""How a system shows itself in Python: a few lines at a prompt, a table in a notebook."""

from __future__ import annotations

from html import escape

from munet.report.overview import headings, rows, summary
from munet.system.view import RunView
from munet.text import printable

_SHOWN = 3  # columns of the few lines: the task, its validation and its test quality


def text(system: RunView) -> str:
    """Tasks with their accuracies, and where the run stands."""
    table = [tuple(name.replace("\n", " ") for name in headings(system)), *rows(system)]
    cells = [row[:_SHOWN] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]
    return "\n".join([f"System in {system.workdir}", *lines, *summary(system)])


def html(system: RunView) -> str:
    """The table and the lines of `munet status`."""
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in headings(system))
    body = "".join(f"<tr>{''.join(f'<td>{escape(printable(cell))}</td>' for cell in row)}</tr>" for row in rows(system))
    lines = "<br>".join(escape(printable(line)) for line in summary(system))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{lines}</p>"
