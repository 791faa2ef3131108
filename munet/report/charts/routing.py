"""The paper's Figures 5 and 6: which task uses which component, and how similar the tasks' rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from munet.report.charts import chart, heat_map
from munet.report.drawing import TASK_COLOURS

_CELL, _NAME = 13, 34  # pixels; letters of a task's name
_MANY = 20  # tasks from which an SVG has no words for each cell, which would make it twice as large
_UNUSED = "#ECEFF2"


def embeddings(names: Sequence[str], groups: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The specification of Figure 5: a line a task, a cell a component, layer by layer; used ones are coloured.

    Args:
      names: of the tasks.
      groups: of the same tasks.
      rows: of each task, by routed layer, 0 and 1 by component.
    """
    shown, titles = chart.labels(names, _NAME), list(dict.fromkeys(groups))
    layers = range(len(rows[0]))

    def cells(layer: int) -> list[dict[str, Any]]:
        return [
            {"task": shown[name], "component": place, "what": group if used == "1" else "not used"}
            for name, group, row in zip(names, groups, rows, strict=True)
            for place, used in enumerate(row[layer])
        ]

    colour = {
        "field": "what",
        "type": "nominal",
        "scale": {"domain": [*titles, "not used"], "range": [*TASK_COLOURS[: len(titles)], _UNUSED]},
        "legend": {"symbolType": "square", "symbolOpacity": 1},
    }
    found = []
    for layer in layers:
        axis = {"grid": False, "labelOverlap": False, "domain": False, "ticks": False, "title": None}
        found.append(
            {
                "title": f"layer {layer}",
                "width": {"step": _CELL},
                "height": {"step": _CELL},
                "data": {"values": cells(layer)},
                "mark": {"type": "rect", "aria": len(names) < _MANY},
                "encoding": {
                    "x": {
                        "field": "component",
                        "type": "ordinal",
                        "scale": {"padding": 0.08},
                        "axis": {**axis, "labelAngle": 0, "labelFontSize": 8, "orient": "bottom"},
                    },
                    "y": {
                        "field": "task",
                        "type": "nominal",
                        "sort": None,
                        "scale": {"domain": list(shown.values()), "padding": 0.08},
                        "axis": {**axis, "labelFontSize": 10, "labelLimit": 240} if layer == 0 else None,
                    },
                    "color": colour,
                    "tooltip": [{"field": "task"}, {"field": "component"}, {"field": "what"}],
                },
            }
        )
    return {"hconcat": found, "spacing": 14, "resolve": {"scale": {"color": "shared", "y": "shared"}}}


def similarities(
    names: Sequence[str], values: Float[np.ndarray, "tasks tasks"], measure: str = "cosine"
) -> dict[str, Any]:
    """The specification of Figure 6: pairwise similarities, from 0 to 1, the darker the more equal.

    Args:
      names: of the tasks.
      values: cosines of their rows, or another measure.
      measure: what it is called beside the shades.
    """
    shown = chart.labels(names, _NAME)
    order = list(shown.values())
    cells = [
        {
            "task": shown[one],
            "other": shown[other],
            "cosine": round(float(values[i, j]), 4),
            "shade": float(values[i, j]),
        }
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    ]
    across, down = heat_map.Axis("other", "", order), heat_map.Axis("task", "", order)
    tooltip = [{"field": "task"}, {"field": "other"}, {"field": "cosine", "type": "quantitative"}]
    return heat_map.spec(cells, across, down, number="cosine", number_format=".2f", tooltip=tooltip, scale=measure)
