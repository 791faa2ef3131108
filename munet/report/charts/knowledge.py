"""Figures 6 and 7: on which tasks the parts of each task's model were trained, as a graph and as a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from munet.report.charts import chart
from munet.report.charts import heat_map as heat_map_chart
from munet.report.charts.heat_map import Axis
from munet.report.facts.knowledge import Flow
from munet.types import TaskName

MOST_IN_GRAPH = 12  # tasks; of more the heat map alone is readable
_SIZE, _RADIUS, _NODE = 380, 120.0, 15.0
_STEPS = 24  # pieces of a curved line
_LEAST = 0.01  # a smaller share is no line
_WIDEST = 9.0  # pixels of a line that is the whole training


def graph(
    flows: Sequence[Flow], tasks: Sequence[TaskName], numbers: Mapping[TaskName, int] | None = None
) -> dict[str, Any] | None:
    """Tasks on a circle, and arrows from who gave to who got, as wide as the share; None of too many tasks, or none.

    Args:
      flows: of the run.
      tasks: that have a model, in order.
      numbers: of the run's tasks; others are grey.
    """
    sources = [*tasks, *dict.fromkeys(flow.source for flow in flows if flow.source not in tasks)]
    if not tasks or len(sources) > MOST_IN_GRAPH:
        return None
    names = chart.labels(sources)
    places = {task: _on_circle(number, len(sources)) for number, task in enumerate(sources)}
    shown = [flow for flow in flows if flow.share >= _LEAST]
    edges = [
        {
            "edge": number,
            "source": names[flow.source],
            "target": names[flow.target],
            "share": flow.share,
            "x": x,
            "y": y,
            "step": step,
            "width": _WIDEST * math.sqrt(flow.share),
        }
        for number, flow in enumerate(shown)
        for step, (x, y) in enumerate(_way(places[flow.source], places[flow.target]))
    ]
    ends = [
        {
            "source": names[flow.source],
            "x": tip[0],
            "y": tip[1],
            "angle": math.degrees(math.atan2(tip[1] - before[1], tip[0] - before[0])) + 90,
            "size": 60 + 120 * flow.share,
        }
        for flow in shown
        for before, tip in [_way(places[flow.source], places[flow.target])[-2:]]
    ]
    nodes = [{"task": names[task], "x": x, "y": y, **_beside(x, y)} for task, (x, y) in places.items()]
    x, y = (
        {"field": name, "type": "quantitative", "axis": None, "scale": {"domain": [0, _SIZE], "nice": False, **flip}}
        for name, flip in (("x", {}), ("y", {"reverse": True}))
    )
    colour = {"field": "source", "type": "nominal", "scale": chart.task_colours(names, numbers), "legend": None}
    tooltip = [
        {"field": "source", "title": "trained on"},
        {"field": "target", "title": "part of the model of"},
        {"field": "share", "type": "quantitative", "title": "share of its training cycles", "format": ".1%"},
    ]
    return {
        "width": _SIZE,
        "height": _SIZE,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "data": {"values": edges},
                "mark": {"type": "trail", "opacity": 0.8},
                "encoding": {
                    "color": colour,
                    "detail": {"field": "edge"},
                    "order": {"field": "step"},
                    "tooltip": tooltip,
                    "size": {"field": "width", "type": "quantitative", "scale": None, "legend": None},
                },
            },
            {
                "data": {"values": ends},
                "mark": {
                    "type": "point",
                    "shape": "triangle-up",
                    "filled": True,
                    "opacity": 1,
                    "angle": {"expr": "datum.angle"},
                },
                "encoding": {
                    "color": colour,
                    "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
                },
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "circle", "size": 4 * _NODE**2 * 0.75, "opacity": 1},
                "encoding": {"color": {**colour, "field": "task"}},
            },
            {
                "data": {"values": nodes},
                "mark": {
                    "type": "text",
                    "fontSize": 12,
                    "fontWeight": "bold",
                    "baseline": "middle",
                    "align": {"expr": "datum.align"},
                    "dx": {"expr": "datum.dx"},
                    "dy": {"expr": "datum.dy"},
                },
                "encoding": {"text": {"field": "task"}},
            },
        ],
    }


def heat_map(flows: Sequence[Flow], tasks: Sequence[TaskName]) -> dict[str, Any] | None:
    """A row for each task's model, a column for what it was trained on; None without tasks."""
    if not tasks:
        return None
    sources = [*tasks, *dict.fromkeys(flow.source for flow in flows if flow.source not in tasks)]
    names = chart.labels(sources)
    cells = [
        {"source": names[flow.source], "target": names[flow.target], "shade": flow.share, "cycles": flow.cycles}
        for flow in flows
    ]
    return heat_map_chart.spec(
        cells,
        Axis("source", "trained on", [names[task] for task in sources]),
        Axis("target", "model of", [names[task] for task in tasks]),
        number="shade",
        number_format=".0%",
        tooltip=[
            {"field": "target", "title": "model of"},
            {"field": "source", "title": "trained on"},
            {"field": "shade", "type": "quantitative", "title": "share", "format": ".1%"},
            {"field": "cycles", "type": "quantitative", "title": "cycles", "format": ","},
        ],
        scale="share of training cycles",
    )


def rows(flows: Sequence[Flow]) -> list[Mapping[str, Any]]:
    """The numbers."""
    return [
        {"source": flow.source, "target": flow.target, "share": flow.share, "cycles": flow.cycles} for flow in flows
    ]


def _on_circle(number: int, count: int) -> tuple[float, float]:
    angle = 2 * math.pi * number / count - math.pi / 2
    radius = _RADIUS if count > 1 else 0.0
    return _SIZE / 2 + radius * math.cos(angle), _SIZE / 2 + radius * math.sin(angle)


def _way(one: tuple[float, float], other: tuple[float, float]) -> list[tuple[float, float]]:
    """A curve from the rim of one node to that of another, bent to its right, so that the way back lies beside it."""
    if one == other:
        return _loop(one)
    dx, dy = other[0] - one[0], other[1] - one[1]
    length = math.hypot(dx, dy)
    bend = 0.18
    middle = (one[0] + other[0]) / 2 - bend * dy, (one[1] + other[1]) / 2 + bend * dx
    start, end = (_NODE + 2) / length, 1 - (_NODE + 9) / length
    steps = [start + (end - start) * step / (_STEPS - 1) for step in range(_STEPS)]
    return [
        (
            (1 - t) ** 2 * one[0] + 2 * t * (1 - t) * middle[0] + t**2 * other[0],
            (1 - t) ** 2 * one[1] + 2 * t * (1 - t) * middle[1] + t**2 * other[1],
        )
        for t in steps
    ]


def _loop(node: tuple[float, float]) -> list[tuple[float, float]]:
    """A loop on the outer side of a node, between it and its name."""
    outwards = math.atan2(node[1] - _SIZE / 2, node[0] - _SIZE / 2 + 1e-9)
    radius, away = 13.0, _NODE + 8.0
    middle = node[0] + away * math.cos(outwards), node[1] + away * math.sin(outwards)
    angles = [outwards + math.pi + 0.95 + (2 * math.pi - 2.1) * step / (_STEPS - 1) for step in range(_STEPS)]
    return [(middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)) for angle in angles]


def _beside(x: float, y: float) -> dict[str, Any]:
    """Where a node's name stands: outside of the circle, beyond its loop."""
    dx, dy = x - _SIZE / 2, y - _SIZE / 2
    if abs(dx) < 0.35 * math.hypot(dx, dy) or not dx:
        return {"align": "center", "dx": 0, "dy": 52 if dy > 0 else -52}
    return {"align": "left" if dx > 0 else "right", "dx": 48 if dx > 0 else -48, "dy": 0}
