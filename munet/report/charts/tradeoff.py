"""Quality against what a model costs (paper, Figs. 3 and 4): curves and points, named where there is room."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from munet.report import drawing
from munet.report.charts import chart, point_labels
from munet.report.charts.point_labels import Label

WIDTH, HEIGHT = 560, 360
_LOG_FROM = 8.0  # a larger ratio of sizes needs a logarithmic axis
_MARGIN = 0.08  # of the axes, beyond the points: room for their names
_MOST_LEGEND = 12


@dataclass(frozen=True)
class Point:
    """One method, system or task.

    Attributes:
      name: written beside it; "": the legend says it.
      size: on the horizontal axis, above 0.
      quality: in [0, 1].
      low, high: of its bar or band; both `quality` where there is none.
    """

    name: str
    size: float
    quality: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Points joined by a line in this order; one point alone is a point with a bar.

    Attributes:
      name: in the legend.
      points: one or more.
    """

    name: str
    points: Sequence[Point] = field(default=())


def spec(
    curves: Sequence[Curve],
    size: str,
    quality: str,
    legend: bool = True,
    numbers: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The specification.

    Args:
      curves: at least one, each with a point.
      size, quality: the titles of the axes.
      legend: whether names of curves stand above; else every point has its own beside it, if there is room for all
        of them or the curves are too many for a legend.
      numbers: of the run's tasks, where the curves are tasks.
    """
    titles = chart.labels((curve.name for curve in curves), 44)
    every = [point for curve in curves for point in curve.points]
    scale = _scale([point.size for point in every])
    low, high = min(point.low for point in every), max(point.high for point in every)
    room = _MARGIN * max(high - low, 0.01)
    bounds = [max(low - room, 0.0) if low >= 0 else low - room, min(high + room, 1.0 + room)]
    values = [
        {
            "curve": titles[curve.name],
            "name": drawing.short(point.name or curve.name, 44),
            "place": place,
            "size": point.size,
            "quality": point.quality,
            "low": point.low,
            "high": point.high,
            "alone": len(curve.points) == 1,
        }
        for curve in curves
        for place, point in enumerate(curve.points)
    ]
    x = chart.quantity("size", size, scale=scale, axis=_ticks(scale))
    y = chart.quantity("quality", quality, scale={"domain": bounds, "nice": False}, axis=chart.share_axis())
    names = _names(curves, titles, scale, bounds, legend)
    if not legend and len(names["data"]["values"]) < len(every) and len(curves) <= _MOST_LEGEND:
        legend, names["data"]["values"] = True, []  # or nobody would know whose a point without a name is
    named = _legend(list(titles.values())) if legend and len(curves) <= _MOST_LEGEND else None
    colour = {
        "field": "curve",
        "type": "nominal",
        "scale": chart.task_colours(titles, numbers),
        "legend": named,
    }
    shape = {
        "field": "curve",
        "type": "nominal",
        "legend": named,
        "scale": {
            "domain": list(titles.values()),
            "range": [chart.SHAPES[place % len(chart.SHAPES)] for place in range(len(titles))],
        },
    }
    tooltip = [
        {"field": "name", "title": "name"},
        {"field": "size", "type": "quantitative", "title": size, "format": ",.4~g"},
        {"field": "quality", "type": "quantitative", "title": quality, "format": ".2%"},
        {"field": "low", "type": "quantitative", "title": "from", "format": ".2%"},
        {"field": "high", "type": "quantitative", "title": "to", "format": ".2%"},
    ]
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    layers: list[dict[str, Any]] = [
        {
            "transform": [{"filter": "!datum.alone"}],
            "mark": {"type": "area", "opacity": 0.15},
            "encoding": ends,
        },
        {
            "transform": [{"filter": "datum.alone && datum.high > datum.low"}],
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": ends,
        },
        {
            "transform": [{"filter": "!datum.alone"}],
            "mark": {"type": "line", "strokeWidth": 1.8},
            "encoding": {"y": y, "order": {"field": "place"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {"y": y, "shape": shape, "tooltip": tooltip},
        },
        names,
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "encoding": {"x": x, "color": colour},
        "layer": layers,
        **_narrower(len(curves), bool(names["data"]["values"]), legend),
    }


def _narrower(num_curves: int, is_named: bool, legend: bool) -> dict[str, Any]:
    """How the figure becomes narrower: names were placed for its width, so a legend takes their place, if it can."""
    if not is_named:
        return chart.fluid(90)
    return {} if legend or num_curves > _MOST_LEGEND else {"usermeta": {"fluid": 90, "legend_below": WIDTH}}


def _legend(titles: Sequence[str]) -> dict[str, Any]:
    """As many names in a row as have room."""
    widest = max(drawing.text_width(title, 12) for title in titles) + 50
    return {"columns": max(1, min(len(titles), int(WIDTH // widest))), "symbolOpacity": 1}


def _names(
    curves: Sequence[Curve], titles: Mapping[str, str], scale: Mapping[str, Any], bounds: Sequence[float], legend: bool
) -> dict[str, Any]:
    """The names of points where there is room: over no other name, no point and, where it can be, no line."""

    def text(curve: Curve, point: Point) -> str:
        if legend:
            return drawing.short(point.name, 30) if len(curve.points) > 1 else ""
        return titles[curve.name]

    placed = point_labels.place(
        [
            [
                Label(
                    text(curve, point),
                    _along(point.size, scale) * WIDTH,
                    (bounds[1] - point.quality) / (bounds[1] - bounds[0]) * HEIGHT,
                )
                for point in curve.points
            ]
            for curve in curves
        ],
        WIDTH,
        HEIGHT,
    )
    values = [
        {
            "curve": titles[curve.name],
            "text": found.text,
            "size": point.size,
            "quality": point.quality,
            "dx": found.dx,
            "dy": found.dy,
            "align": found.align,
        }
        for curve, own in zip(curves, placed, strict=True)
        for point, found in zip(curve.points, own, strict=True)
        if found is not None
    ]
    offsets = {"dx": {"expr": "datum.dx"}, "dy": {"expr": "datum.dy"}, "align": {"expr": "datum.align"}}
    return {
        "data": {"values": values},
        "mark": {"type": "text", "fontSize": point_labels.SIZE, "baseline": "middle", **offsets},
        "encoding": {"y": {"field": "quality", "type": "quantitative"}, "text": {"field": "text"}, "color": None},
    }


def _scale(sizes: Sequence[float]) -> dict[str, Any]:
    """Logarithmic where sizes differ much."""
    low, high = min(sizes), max(sizes)
    if low > 0 and high > _LOG_FROM * low:
        room = (high / low) ** _MARGIN
        return {"type": "log", "domain": [low / room, high * room], "nice": False}
    room = _MARGIN * max(high - low, 0.05 * high, 1e-9)
    return {"domain": [low - room if low - room > 0 else 0.0, high + room], "nice": False, "zero": False}


def _ticks(scale: Mapping[str, Any]) -> dict[str, Any]:
    """Plain numbers; of a logarithmic axis 1, 2 and 5 of each power of ten."""
    if scale.get("type") != "log":
        return {"tickCount": 6, "format": "~s" if scale["domain"][1] >= 1000 else "~g"}
    low, high = scale["domain"]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return {"values": [tick for tick in ticks if low <= tick <= high], "format": "~s" if high >= 1000 else "~g"}


def _along(value: float, scale: Mapping[str, Any]) -> float:
    """Where a value lies on the axis, from 0 to 1."""
    low, high = scale["domain"]
    if scale.get("type") == "log":
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
