"""Labels beside the points of a figure, none over another, a point or the edge; who finds no room is left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from munet.report import drawing

SIZE = 11  # of the letters, in pixels
_HEIGHT = 14.0
_RADIUS = 6.0  # pixels around a point that labels keep clear
_NEAR = (
    (9, 12, "left"), (9, -11, "left"), (-9, -11, "right"), (-9, 12, "right"), (10, 0, "left"), (-10, 0, "right"),
    (0, -15, "center"), (0, 16, "center"),
)  # fmt: skip
_FAR = tuple((2 * x, 2 * y, align) for x, y, align in _NEAR)
_STEPS = 24  # places at which a line is looked at, from point to point

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Label:
    """What is to be written beside a point at these pixels, from the upper left corner; "": nothing."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Placed:
    """A text at its place: pixels from its point to its anchor, and which part of the text that is of."""

    text: str
    dx: float
    dy: float
    align: str

    def box(self, label: Label) -> Box:
        """Where it is drawn, generously."""
        width = drawing.text_width(self.text, SIZE)
        left = label.x + self.dx - {"left": 0.0, "center": width / 2, "right": width}[self.align]
        middle = label.y + self.dy
        return left, middle - _HEIGHT / 2, left + width, middle + _HEIGHT / 2


def place(curves: Sequence[Sequence[Label]], width: float, height: float) -> list[list[Placed | None]]:
    """The labels of all curves; None where there is no text, or no room.

    Args:
      curves: the points of each in order, joined by lines.
      width, height: of the field between the axes.
    """
    points = [_around(label.x, label.y) for curve in curves for label in curve]
    lines = [(x, y, x, y) for curve in curves for x, y in _along(curve)]
    taken: list[Box] = []
    return [
        [_place(label, (width, height), points, lines, taken) if label.text else None for label in curve]
        for curve in curves
    ]


def _place(
    label: Label, field: tuple[float, float], points: Sequence[Box], lines: Sequence[Box], taken: list[Box]
) -> Placed | None:
    """One label: clear of lines where it can be, in any case of points and of other labels."""
    for obstacles in ((*points, *lines), points):
        for x, y, align in (*_NEAR, *_FAR):
            found = Placed(label.text, x, y, align)
            box = found.box(label)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= field[0] and box[3] <= field[1]
            if inside and not any(_overlap(box, other) for other in (*obstacles, *taken)):
                taken.append(box)
                return found
    return None


def _around(x: float, y: float) -> Box:
    return x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS


def _along(curve: Sequence[Label]) -> Iterator[tuple[float, float]]:
    """Points of the lines between points."""
    for one, other in itertools.pairwise(curve):
        for step in range(_STEPS):
            share = step / (_STEPS - 1)
            yield one.x + share * (other.x - one.x), one.y + share * (other.y - one.y)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
