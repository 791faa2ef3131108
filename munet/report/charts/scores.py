"""The score of every child against its id: how far the search came, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from munet.report.charts import chart
from munet.report.facts.scores import Scored
from munet.types import TaskName

_WIDTH, _HEIGHT = 560, 280
MOST_DRAWN = 3000  # children; of more some that were not retained are left out, evenly
_MOST_LEGEND = 24
_WHAT = ("retained", "kept", "not kept")


def spec(children: Sequence[Scored], numbers: Mapping[TaskName, int] | None = None) -> dict[str, Any] | None:
    """A point for each child with a finite result, in the colour of its task; None without any.

    Args:
      children: in order.
      numbers: of the run's tasks.
    """
    if not children:
        return None
    names = chart.labels(dict.fromkeys(child.task for child in children))
    values = [
        {"id": child.id, "score": round(child.score, 6), "task": names[child.task], "what": _what(child)}
        for child in _thinned(children)
    ]
    legend = {"symbolType": "circle", "columns": 3} if len(names) <= _MOST_LEGEND else None
    x = chart.quantity(
        "id",
        "child",
        axis={"tickMinStep": 1, "format": ",d", "tickCount": 8},
        scale={"zero": False, "nice": False, "padding": 10},
    )
    y = chart.quantity("score", "score", axis=chart.share_axis(tickCount=6), scale={"zero": False, "nice": True})
    return {
        **chart.fluid(90),
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": values},
        "mark": {"type": "point", "strokeWidth": 1.4},
        "encoding": {
            "x": x,
            "y": y,
            "color": {
                "field": "task",
                "type": "nominal",
                "scale": chart.task_colours(names, numbers),
                "legend": legend,
            },
            "shape": {
                "field": "what",
                "type": "nominal",
                "scale": {"domain": list(_WHAT), "range": ["diamond", "circle", "cross"]},
                "legend": {"symbolFillColor": "transparent", "orient": "bottom"},
            },
            "size": _by_what(160, 36, 22),
            "opacity": _by_what(1, 0.9, 0.45),
            "tooltip": [
                {"field": "task", "title": "task"},
                {"field": "id", "title": "child", "type": "quantitative", "format": ","},
                {"field": "score", "type": "quantitative", "title": "score", "format": ".2%"},
                {"field": "what", "title": "what became of it"},
            ],
        },
    }


def rows(children: Sequence[Scored]) -> list[dict[str, Any]]:
    """The numbers, of all."""
    return [asdict(child) for child in children]


def _by_what(retained: float, kept: float, other: float) -> dict[str, Any]:
    """A value by what became of a child; by conditions, so that one legend remains: that of the shapes."""
    values = dict(zip(_WHAT, (retained, kept), strict=False))
    conditions = [{"test": f"datum.what === '{what}'", "value": value} for what, value in values.items()]
    return {"condition": conditions, "value": other}


def _what(child: Scored) -> str:
    return "retained" if child.is_retained else "kept" if child.is_kept else "not kept"


def _thinned(children: Sequence[Scored]) -> list[Scored]:
    """All that were retained, and of the others as many as are drawn, evenly."""
    every = -(-len(children) // MOST_DRAWN)
    return [child for place, child in enumerate(children) if child.is_retained or place % every == 0]
