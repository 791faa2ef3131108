"""Tasks by tasks: how many components two models have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from munet.report.charts import chart, heat_map
from munet.report.charts.heat_map import Axis
from munet.report.facts.sharing import Shared

MOST_TASKS = 150  # of which every pair is drawn


def spec(pairs: Sequence[Shared]) -> dict[str, Any] | None:
    """A cell for every pair, each once, so half of a square; None without any."""
    if not pairs:
        return None
    names = chart.labels(dict.fromkeys(pair.one for pair in pairs))
    most = max(pair.components for pair in pairs)
    cells = [
        {
            "one": names[pair.one],
            "other": names[pair.other],
            "shade": round(pair.components / most, 3),
            "components": pair.components,
            "of_root": pair.of_root,
            "params": pair.params,
        }
        for pair in pairs
        if pair.components
    ]
    order = list(names.values())
    return heat_map.spec(
        cells,
        Axis("one", "model of", order),
        Axis("other", "and model of", order),
        number="components",
        number_format="d",
        tooltip=[
            {"field": "one", "title": "model of"},
            {"field": "other", "title": "and model of"},
            {"field": "components", "type": "quantitative", "title": "components in common"},
            {"field": "of_root", "type": "quantitative", "title": "of them the root's"},
            {"field": "params", "type": "quantitative", "title": "their parameters", "format": ","},
        ],
    )


def rows(pairs: Sequence[Shared]) -> list[dict[str, Any]]:
    """The numbers."""
    return [asdict(pair) for pair in pairs]
