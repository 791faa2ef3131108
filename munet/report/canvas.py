"""What pictures drawn with matplotlib share: a quiet style, colours that all tell apart, SVG that repeats exactly."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from munet.report.drawing import INK, TASK_COLOURS
from munet.text import printable

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5A6270",
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.color": "#E4E7EB",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#5A6270",
    "ytick.color": "#5A6270",
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "path",  # the same in every browser, whatever fonts there are
    "svg.hashsalt": "munet",  # ids that repeat
}


def colour(index: int) -> str:
    """The colour of a method or curve, by its place."""
    return TASK_COLOURS[index % len(TASK_COLOURS)]


@contextmanager
def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes as a two-dimensional array; sizes in inches. No window system is needed."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


def svg(figure: Any, title: str = "") -> bytes:
    """The figure as SVG, with a title for programs and for readers who do not see; equal figures have equal bytes."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_text().isprintable():
            text.set_text(printable(text.get_text(), keep="\n"))
    named = {"Title": printable(title)} if title else {}
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "munet"} | named)
    return buffer.getvalue()
