"""Labels beside the points of a figure, none over another, a point or the edge; who finds no room is left out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_SIZE = 8
_RADIUS = 4.0  # pixels around a point that labels keep clear
_NEAR = ((5, -11, "left"), (5, 4, "left"), (-5, 4, "right"), (-5, -11, "right"), (0, 8, "center"), (0, -15, "center"))
_FAR = tuple((2 * x, 2 * y, align) for x, y, align in _NEAR)
_STEPS = 24  # places at which a line is looked at, from point to point

Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


@dataclass(frozen=True)
class Label:
    """What is to be written beside a point of the axes, in the colour of its curve."""

    text: str
    x: float
    y: float
    colour: str


def write(figure: Any, axis: Any, curves: Sequence[Sequence[Label]]) -> None:
    """Writes the labels of all curves; call it when everything else is drawn.

    Args:
      figure, axis: of matplotlib.
      curves: the points of each curve in order, joined by lines.
    """
    figure.draw_without_rendering()  # the layout is known only now
    places = [axis.transData.transform([(label.x, label.y) for label in curve]) for curve in curves]
    points = [_around(x, y) for place in places for x, y in place]
    lines = [(x, y, x, y) for place in places for x, y in _along(place)]
    edge = tuple(axis.get_window_extent().extents)
    taken: list[Box] = []
    for label in (label for curve in curves for label in curve if label.text):
        _write(axis, label, edge, points, lines, taken)


def _write(axis: Any, label: Label, edge: Box, points: Sequence[Box], lines: Sequence[Box], taken: list[Box]) -> None:
    """One label: clear of lines where it can be, in any case of points and of other labels."""
    for obstacles in ((*points, *lines), points):
        for x, y, align in (*_NEAR, *_FAR):
            text = axis.annotate(
                label.text, (label.x, label.y), xytext=(x, y), textcoords="offset points", fontsize=_SIZE,
                color=label.colour, horizontalalignment=align,
            )  # fmt: skip
            box = tuple(text.get_window_extent().extents)
            if _is_inside(box, edge) and not any(_overlap(box, other) for other in (*obstacles, *taken)):
                taken.append(box)
                return
            text.remove()


def _around(x: float, y: float) -> Box:
    return x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS


def _along(place: np.ndarray) -> np.ndarray:
    """Points of the lines between points."""
    steps = np.linspace(0, 1, _STEPS)[:, None]
    return np.concatenate([np.empty((0, 2)), *(a + steps * (b - a) for a, b in itertools.pairwise(place))])


def _is_inside(box: Box, edge: Box) -> bool:
    return box[0] >= edge[0] and box[1] >= edge[1] and box[2] <= edge[2] and box[3] <= edge[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
