"""Curves over rounds or generations, each with a band that says how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from munet.report import drawing
from munet.report.charts import chart

WIDTH, HEIGHT = 620, 320
_NAME = 60  # letters in the legend
_DASHES = ([1, 0], [7, 3], [7, 3, 2, 3], [2, 2])  # curves often lie on each other
_MOST_POINTS = 400  # of a curve that are drawn: as many as there is room for


@dataclass(frozen=True)
class Band:
    """A curve.

    Attributes:
      name: in the legend.
      steps: where it was measured, rising.
      middle: its values.
      low, high: of its band, as long as `middle`; equal to it where nothing is known.
    """

    name: str
    steps: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def spec(curves: Sequence[Band], x: str, y: str, *, bounds: tuple[float, float] | None = None) -> dict[str, Any]:
    """The specification.

    Args:
      curves: at least one, each with a point.
      x, y: the titles of the axes.
      bounds: of the vertical axis; None: from zero to the highest value.
    """
    titles = list(chart.labels((curve.name for curve in curves), _NAME).values())
    values = [
        {"curve": title, "x": curve.steps[at], "y": curve.middle[at], "low": curve.low[at], "high": curve.high[at]}
        for title, curve in zip(titles, curves, strict=True)
        for at in _thinned(len(curve.steps))
    ]
    start, end = min(curve.steps[0] for curve in curves), max(curve.steps[-1] for curve in curves)
    first = min(start, 0)
    ticks = max(min(6, int(end - first)), 1)  # steps are whole numbers, and no two ticks say the same
    upright = {"domain": list(bounds), "nice": False} if bounds else {"zero": True}
    above = chart.quantity("y", y, scale=upright, axis={"tickCount": 5})
    stroke = {"symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2, "symbolOpacity": 1}
    legend = {**stroke, "columns": _columns(titles)} if len(curves) > 1 else None
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "encoding": {
            "x": chart.quantity(
                "x", x, scale={"domain": [first, end], "nice": False}, axis={"tickCount": ticks, "format": ",d"}
            ),
            "color": {"field": "curve", "type": "nominal", "scale": chart.colours(titles), "legend": legend},
        },
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.2, "clip": True},
                "encoding": {"y": {**above, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "strokeWidth": 1.8},
                "encoding": {
                    "y": above,
                    "strokeDash": {
                        "field": "curve",
                        "type": "nominal",
                        "scale": {"domain": titles, "range": [_DASHES[at % len(_DASHES)] for at in range(len(titles))]},
                        "legend": legend,
                    },
                },
            },
        ],
    }


def rows(curves: Sequence[Band]) -> list[dict[str, Any]]:
    """The numbers: a row for each point."""
    return [
        {"curve": curve.name, "step": step, "value": middle, "low": low, "high": high}
        for curve in curves
        for step, middle, low, high in zip(curve.steps, curve.middle, curve.low, curve.high, strict=True)
    ]


def _columns(titles: Sequence[str]) -> int:
    """As many names in a row as have room."""
    widest = max(drawing.text_width(title, 12) for title in titles) + 50
    return max(1, min(len(titles), int(WIDTH // widest)))


def _thinned(length: int) -> list[int]:
    """The places of the points that are drawn, the last one included."""
    every = -(-length // _MOST_POINTS)
    return sorted({*range(0, length, every), length - 1})
