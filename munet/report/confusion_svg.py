"""A confusion matrix as a plain SVG: rows are the classes, columns what they were taken for, shares as shades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from munet.errors import UserError
from munet.report import drawing
from munet.report.classes import SplitCounts, recorded_test
from munet.report.drawing import FAINT, INK, PAPER
from munet.system.view import RunView
from munet.types import TaskName

MAX_CLASSES = 40  # more are no longer readable: then those that are confused most
_RIGHT, _WRONG = drawing.TASK_COLOURS[0], drawing.TASK_COLOURS[3]
_MARGIN, _TITLE, _MAX_NAME = 24, 64, 18


@dataclass(frozen=True)
class _Grid:
    """Where cells lie.

    Attributes:
      left, top: pixels to the first cell.
      side: of a cell, in pixels.
      places: the row, and column, of each class that is shown.
    """

    left: int
    top: int
    side: int
    places: Mapping[int, int]


@dataclass(frozen=True)
class _Cell:
    """How many images of the class `label`, of all that were counted, were taken for the class `predicted`."""

    label: int
    predicted: int
    images: int
    counted: int


def write(system: RunView, task: TaskName, path: str) -> None:
    """Writes the matrix of a task's test split.

    Raises:
      UserError: no such task, nothing recorded, another ending than .svg, or the file cannot be written.
    """
    if Path(path).suffix.lower() != ".svg":
        raise UserError(f"--confusion={path}: the matrix is drawn as SVG; give a name that ends in .svg.")
    text = to_svg(task, system.task(task).class_names, recorded_test(system, task))
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--confusion={path} cannot be written: {error.strerror}. Give a file in a folder that exists."
        ) from error


def to_svg(task: TaskName, class_names: tuple[str, ...], counts: SplitCounts) -> str:
    """The picture; each cell has a tooltip."""
    shown = _shown(counts)
    names = [_short(class_names[label]) for label in shown]
    longest = 7 * max(map(len, names), default=0)
    side = max(14, min(34, 640 // max(len(shown), 1)))
    places = {label: place for place, label in enumerate(shown)}
    grid = _Grid(_MARGIN + 12 + longest, _MARGIN + _TITLE + longest, side, places)
    size = side * len(shown)
    title = f"{task}: what is taken for what"
    which = f"{len(shown)} classes" if len(shown) == len(class_names) else _chosen(len(shown), len(class_names))
    what = f"Test split, {which}. Rows: the class; columns: the answer. Shade: share of the row's images."
    parts = [
        *drawing.head(max(grid.left + size, 690) + _MARGIN, grid.top + size + _MARGIN, title),
        drawing.label(_MARGIN, _MARGIN + 14, title, size=17, weight="600"),
        drawing.label(_MARGIN, _MARGIN + 34, what, size=12, fill=FAINT),
        f'<rect x="{grid.left}" y="{grid.top}" width="{size}" height="{size}" fill="{PAPER}"/>',
        *_names(grid, names),
    ]
    cells = [_Cell(one, one, counts.correct[one], counts.counted[one]) for one in shown]
    cells += [
        _Cell(one, other, images, counts.counted[one])
        for one, other, images in counts.confusions or ()
        if {one, other} <= places.keys()
    ]
    parts += [_drawn(cell, grid, class_names) for cell in cells if cell.images]
    return "\n".join([*parts, "</svg>", ""])


def _names(grid: _Grid, names: Sequence[str]) -> Iterator[str]:
    """The classes, left of their rows and above their columns."""
    upright = all(len(name) <= 2 for name in names)  # 0, 1, 2 need no turning
    for place, name in enumerate(names):
        middle = place * grid.side + grid.side / 2
        yield drawing.label(grid.left - 6, grid.top + middle + 4, name, size=11, anchor="end")
        if upright:
            yield drawing.label(grid.left + middle, grid.top - 6, name, size=11, anchor="middle")
        else:
            turn = f"translate({grid.left + middle + 4:.1f} {grid.top - 6}) rotate(-90)"
            yield f'<g transform="{turn}">{drawing.label(0, 0, name, size=11)}</g>'


def _drawn(cell: _Cell, grid: _Grid, class_names: Sequence[str]) -> str:
    share, side = cell.images / cell.counted, grid.side
    x, y = grid.left + grid.places[cell.predicted] * side, grid.top + grid.places[cell.label] * side
    colour = _RIGHT if cell.label == cell.predicted else _WRONG
    what = f"{class_names[cell.label]} taken for {class_names[cell.predicted]}: {cell.images:,} of {cell.counted:,}"
    number = ""
    if side >= 22:
        ink = "#FFFFFF" if share > 0.5 else INK
        number = drawing.label(x + side / 2, y + side / 2 + 4, str(cell.images), size=10, fill=ink, anchor="middle")
    return (
        f'<g class="cell"><title>{drawing.xml_text(what)}</title>'
        f'<rect x="{x}" y="{y}" width="{side - 1}" height="{side - 1}" '
        f'fill="{colour}" fill-opacity="{0.15 + 0.85 * share:.2f}"/>{number}</g>'
    )


def _shown(counts: SplitCounts) -> list[int]:
    """All classes, or, of too many, those with most confused images in row and column, in their order."""
    if len(counts.counted) <= MAX_CLASSES:
        return list(range(len(counts.counted)))
    wrong = [0] * len(counts.counted)
    for label, predicted, images in counts.confusions or ():
        wrong[label] += images
        wrong[predicted] += images
    return sorted(sorted(range(len(wrong)), key=lambda label: (-wrong[label], label))[:MAX_CLASSES])


def _chosen(shown: int, every: int) -> str:
    return f"the {shown} of {every:,} classes that are confused most"


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
