"""Bars: what became of each kind of mutation, and what every generation cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from munet.report.charts import chart
from munet.report.charts.hyperparameters import title
from munet.report.facts.costs import Cost
from munet.report.facts.mutations import KindCount
from munet.types import TaskName

_WIDTH = 560
_MOST_NAMED = 24  # generations that have a number each
_STAGES = (
    ("retained", "led to retained models", "#0072B2"),
    ("kept", "kept", "#56B4E9"),
    ("tried", "tried", "#C9CDD2"),
)


def mutations(counts: Sequence[KindCount]) -> dict[str, Any] | None:
    """A bar for each kind, as long as it was tried; within it what was kept, and what led to retained models."""
    if not counts:
        return None
    names = chart.labels((title(count.kind) for count in counts), 30)
    rows = []
    for count in counts:
        ends = {
            "retained": (0, count.retained),
            "kept": (count.retained, count.kept),
            "tried": (count.kept, count.tried),
        }
        rows += [
            {
                "kind": names[title(count.kind)],
                "stage": text,
                "from": ends[stage][0],
                "to": ends[stage][1],
                "children": getattr(count, stage),
            }
            for stage, text, _ in _STAGES
        ]
    texts = [text for _, text, _ in _STAGES]
    return {
        **chart.fluid(240),
        "width": _WIDTH,
        "height": {"step": 24},
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "kind",
                "type": "nominal",
                "sort": list(names.values()),
                "axis": {"title": None, "grid": False},
            },
            "x": chart.quantity("from", "children", axis={"tickMinStep": 1}),
            "x2": {"field": "to"},
            "color": {
                "field": "stage",
                "type": "nominal",
                "legend": {"symbolType": "square"},
                "scale": {"domain": texts, "range": [colour for _, _, colour in _STAGES]},
            },
            "tooltip": [
                {"field": "kind", "title": "mutation"},
                {"field": "stage", "title": "what"},
                {"field": "children", "title": "children"},
            ],
        },
    }


def costs(generations: Sequence[Cost], numbers: Mapping[TaskName, int] | None = None) -> dict[str, Any] | None:
    """Wall time of training in every generation, in the colour of its task, by the numbers of the run's tasks."""
    if not generations:
        return None
    names = chart.labels(dict.fromkeys(cost.task for cost in generations))
    rows = [
        {
            "generation": number,
            "task": names[cost.task],
            "seconds": cost.seconds,
            "images": cost.image_steps,
            "children": cost.children,
        }
        for number, cost in enumerate(generations, start=1)
    ]
    legend = {"symbolType": "square", "columns": 3} if len(names) <= 24 else None
    return {
        **chart.fluid(80),
        "width": _WIDTH,
        "height": 180,
        "data": {"values": rows},
        "mark": {"type": "bar", "width": {"band": 0.85}}
        if len(rows) <= _MOST_NAMED
        else {"type": "bar", "width": max(_WIDTH / len(rows), 0.5)},
        "encoding": {
            "x": chart.quantity(
                "generation",
                "generation of the run",
                axis={"tickMinStep": 1, "format": ",d", "grid": False},
                scale={"domain": [0.5, len(rows) + 0.5], "nice": False},
            )
            if len(rows) > _MOST_NAMED
            else {
                "field": "generation",
                "type": "ordinal",
                "axis": {"title": "generation of the run", "labelAngle": 0, "grid": False},
            },
            "y": chart.quantity("seconds", "seconds of training"),
            "color": {
                "field": "task",
                "type": "nominal",
                "scale": chart.task_colours(names, numbers),
                "legend": legend,
            },
            "tooltip": [
                {"field": "task", "title": "task"},
                {"field": "generation", "title": "generation of the run"},
                {"field": "seconds", "type": "quantitative", "title": "seconds of training", "format": ",.1f"},
                {"field": "images", "type": "quantitative", "title": "training images", "format": ","},
                {"field": "children", "title": "children"},
            ],
        },
    }


def rows(items: Sequence[KindCount] | Sequence[Cost]) -> list[dict[str, Any]]:
    """The numbers."""
    return [asdict(item) for item in items]
