"""The paper's Figure 8: how probable each connection is in the course of training, a panel for each task and layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from munet.report.charts import chart

_WIDTH, _HEIGHT, _NAME = 620, 64, 34  # pixels of all layers together, of a panel; letters
_DASHES = ([1, 0], [7, 3], [7, 3, 2, 3], [2, 2])  # lines often lie on each other


def spec(
    rounds: Sequence[int], probabilities: Mapping[str, Sequence[Sequence[Sequence[float]]]], names: Sequence[str]
) -> dict[str, Any]:
    """The specification.

    Args:
      rounds: at which they were looked at, rising.
      probabilities: by task; of each look, of each routed layer, of each component.
      names: of the components, by place.
    """
    shown = chart.labels(probabilities, _NAME)
    values = [
        {"task": shown[task], "layer": f"layer {layer}", "component": name, "round": step, "probability": share}
        for task, looks in probabilities.items()
        for step, layers in zip(rounds, looks, strict=True)
        for layer, shares in enumerate(layers)
        for name, share in zip(names, shares, strict=False)
    ]
    in_order = list(dict.fromkeys(one["layer"] for one in values))
    stroke = {
        "title": "probability of using component",
        "titleFontWeight": "normal",
        "titleLimit": 0,
        "symbolType": "stroke",
        "symbolSize": 400,
        "symbolStrokeWidth": 2,
        "symbolOpacity": 1,
        "columns": 4,
    }
    dashes = [_DASHES[place % len(_DASHES)] for place in range(len(names))]
    across = {"domain": [0, max(rounds)], "nice": False}
    return {
        "data": {"values": values},
        "facet": {
            "row": {
                "field": "task",
                "type": "nominal",
                "sort": list(shown.values()),
                # Clear of the numbers of the axis, also in fonts a little wider than the one that it is laid out with.
                "header": {"labelAngle": 0, "labelAlign": "left", "labelFontSize": 11, "labelPadding": 38},
            },
            "column": {
                "field": "layer",
                "type": "nominal",
                "sort": in_order,
            },
        },
        "spacing": {"row": 8, "column": 12},
        "spec": {
            "width": max(_WIDTH // len(next(iter(probabilities.values()))[0]), 100),
            "height": _HEIGHT,
            "mark": {"type": "line", "strokeWidth": 1.6},
            "encoding": {
                "x": chart.quantity(
                    "round", "rounds", scale=across, axis={"tickCount": min(3, max(rounds)), "format": ",d"}
                ),
                "y": chart.quantity(
                    "probability", "", scale={"domain": [0, 1]}, axis={"values": [0, 0.5, 1], "format": ".1~f"}
                ),
                "color": {
                    "field": "component",
                    "type": "nominal",
                    "scale": chart.colours(names),
                    "legend": stroke,
                },
                "strokeDash": {
                    "field": "component",
                    "type": "nominal",
                    "scale": {"domain": list(names), "range": dashes},
                    "legend": stroke,
                },
            },
        },
    }
