"""Figure 5: validation quality cycle by cycle along the lineage of each task's final model, a panel for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from munet.report.charts import chart
from munet.report.facts.lineages import Lineage
from munet.types import TaskName

_WIDTH, _HEIGHT = 190, 150
_KEPT, _TEST = "kept version", "its test"  # of a race it need not be the best


def spec(
    lineages: Mapping[str, Sequence[Mapping[TaskName, Lineage]]], names: Mapping[TaskName, str], metric: str
) -> dict[str, Any] | None:
    """The specification; None without any run.

    Args:
      lineages: by the method's title, one mapping for each run.
      names: what the tasks are called, in order: a panel each.
      metric: what the qualities are, in words.
    """
    if not any(lineages.values()) or not names:
        return None
    titles, shown = chart.labels(lineages, 44), chart.labels(names.values(), 24)
    found = [
        _panel(
            shown[label],
            [(titles[title], run[task]) for title, runs in lineages.items() for run in runs if task in run],
            list(titles.values()),
            f"validation {metric}" if place % chart.PANELS == 0 else None,
        )
        for place, (task, label) in enumerate(names.items())
    ]
    return chart.panels(found, resolve={"scale": {"color": "shared", "shape": "shared"}})


def rows(
    lineages: Mapping[str, Sequence[Mapping[TaskName, Lineage]]], names: Mapping[TaskName, str]
) -> list[dict[str, Any]]:
    """The numbers: a row a cycle."""
    return [
        {
            "method": title,
            "run": number,
            "task": names[task],
            "cycle": cycle,
            "validation": quality,
            "best": cycle == lineage.best + 1,
            "test": lineage.test if cycle == lineage.best + 1 else None,
        }
        for title, runs in lineages.items()
        for number, run in enumerate(runs)
        for task, lineage in run.items()
        if task in names
        for cycle, quality in enumerate(lineage.qualities, start=1)
    ]


def _panel(
    title: str, lines: Sequence[tuple[str, Lineage]], methods: Sequence[str], y_title: str | None
) -> dict[str, Any]:
    values = [
        {"cycle": cycle, "quality": quality, "method": method, "run": number}
        for number, (method, lineage) in enumerate(lines)
        for cycle, quality in enumerate(lineage.qualities, start=1)
    ]
    marks = [
        {"cycle": lineage.best + 1, "quality": value, "method": method, "what": what}
        for method, lineage in lines
        for what, value in ((_KEPT, lineage.qualities[lineage.best]), (_TEST, lineage.test))
    ]
    colour = {
        "field": "method",
        "type": "nominal",
        "scale": chart.colours(list(methods)),
        "legend": {"symbolType": "stroke"} if len(methods) > 1 else None,
    }
    shape = {
        "field": "what",
        "type": "nominal",
        "scale": {"domain": [_KEPT, _TEST], "range": ["cross", "circle"]},
        "legend": {"symbolFillColor": "transparent"},
    }
    # Ticks are whole, also where there are few cycles.
    last = max((len(lineage.qualities) for _, lineage in lines), default=1)
    return {
        "title": title,
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": values},
        "encoding": {
            "x": chart.quantity(
                "cycle",
                "cycle",
                axis={"values": list(range(1, last + 1, -(-last // 5))), "format": "d"},
                scale={"nice": False, "zero": False},
            ),
            "y": {
                **chart.quantity("quality", "", scale=_scale([*values, *marks])),
                "axis": {**chart.share_axis(tickCount=5), "title": y_title},
            },
        },
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.4, "opacity": 0.85, "point": False},
                "encoding": {"color": colour, "detail": {"field": "run"}},
            },
            {
                "data": {"values": marks},
                "mark": {"type": "point", "size": 70, "opacity": 1, "strokeWidth": 1.8, "filled": False},
                "encoding": {
                    "color": colour,
                    "shape": shape,
                    "tooltip": [
                        {"field": "what", "title": "what"},
                        {"field": "quality", "type": "quantitative", "title": "quality", "format": ".2%"},
                        {"field": "cycle", "type": "quantitative", "title": "cycle"},
                    ],
                },
            },
        ],
    }


def _scale(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the qualities; where all are equal there would be no axis without a domain."""
    found = {value["quality"] for value in values}
    scale = {"zero": False, "nice": 5}
    if len(found) != 1:
        return scale
    (only,) = found
    return {**scale, "domain": [max(only - 0.01, 0), min(only + 0.01, 1)]}
