"""Figure 8, which hyper-parameters were sampled; and which values the lineages of the final models went through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from munet.report import drawing
from munet.report.charts import chart
from munet.types import HyperparameterValue, TaskName

_WIDTH, _HEIGHT = 190, 130
_MOST_VALUES = 12  # that have a name each below the bars
_MOST_LINES = 24  # tasks whose lineages are drawn

Values = Mapping[str, HyperparameterValue]


def histograms(sampled: Mapping[str, Sequence[Values]]) -> dict[str, Any] | None:
    """Bars side by side at every value that any method has; None where nothing was sampled or nothing differs.

    Args:
      sampled: by the method's title, the hyper-parameters of each child.
    """
    everything = [child for children in sampled.values() for child in children]
    varied = _varied(everything)
    if not varied:
        return None
    titles = chart.labels(sampled, 44)
    return chart.panels(
        [
            # A method without the insertion has no width or rank of it.
            _bars(name, {titles[title]: [c[name] for c in own if name in c] for title, own in sampled.items()}, place)
            for place, name in enumerate(varied)
        ],
        resolve={"scale": {"color": "shared"}},
    )


def shares(sampled: Mapping[str, Sequence[Values]]) -> list[dict[str, Any]]:
    """The numbers: a row for each value of each hyper-parameter that varies."""
    everything = [child for children in sampled.values() for child in children]
    return [
        {"method": title, "hyperparameter": name, "value": value, "children": count, "share": count / len(own)}
        for name in _varied(everything)
        for title, children in sampled.items()
        if (own := [child[name] for child in children if name in child])
        for value, count in sorted(Counter(own).items(), key=lambda item: _order(item[0]))
    ]


def along_lineages(
    ancestries: Mapping[TaskName, Sequence[Values]], numbers: Mapping[TaskName, int] | None = None
) -> dict[str, Any] | None:
    """Steps of every hyper-parameter that changes on the way from the root to the final models; None if none does.

    Args:
      ancestries: by task, the hyper-parameters of each ancestor in order, the model's own last.
      numbers: of the run's tasks.
    """
    chosen = dict(list(ancestries.items())[:_MOST_LINES])
    everything = [child for chain in chosen.values() for child in chain]
    varied = _varied(everything)
    if not varied:
        return None
    names = chart.labels(chosen)
    return chart.panels(
        [_steps(name, chosen, names, numbers) for name in varied],
        resolve={"scale": {"color": "shared", "strokeDash": "shared"}},
    )


def steps(ancestries: Mapping[TaskName, Sequence[Values]]) -> list[dict[str, Any]]:
    """The numbers: a row for each ancestor and hyper-parameter."""
    return [
        {"task": task, "step": step, "hyperparameter": name, "value": value}
        for task, chain in ancestries.items()
        for step, child in enumerate(chain, start=1)
        for name, value in child.items()
    ]


def title(name: str) -> str:
    """A hyper-parameter's name for people: `number of blocks`."""
    return name.replace("num_", "number of ").replace("_", " ")


def _varied(children: Sequence[Values]) -> list[str]:
    names = dict.fromkeys(name for child in children for name in child)
    return [name for name in names if len({child[name] for child in children if name in child}) > 1]


def _bars(name: str, values: Mapping[str, Sequence[HyperparameterValue]], place: int) -> dict[str, Any]:
    ticks = sorted({value for own in values.values() for value in own}, key=_order)
    rows = [
        {"value": _short(tick), "share": Counter(own)[tick] / len(own) if own else 0.0, "method": method}
        for method, own in values.items()
        for tick in ticks
    ]
    methods = list(values)
    side_by_side = {"xOffset": {"field": "method", "sort": methods}} if len(methods) > 1 else {}
    return {
        "title": title(name),
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": rows},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "x": {
                "field": "value",
                "type": "ordinal",
                "sort": [_short(tick) for tick in ticks],
                "axis": _value_axis([_short(tick) for tick in ticks]),
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "scale": {"nice": 4},
                "axis": {
                    **chart.share_axis(tickCount=4),
                    "title": "sampled children" if place % chart.PANELS == 0 else None,
                },
            },
            "color": {
                "field": "method",
                "type": "nominal",
                "scale": chart.colours(methods),
                "legend": {} if len(methods) > 1 else None,
            },
            **side_by_side,
        },
    }


def _steps(
    name: str,
    chains: Mapping[TaskName, Sequence[Values]],
    names: Mapping[TaskName, str],
    numbers: Mapping[TaskName, int] | None,
) -> dict[str, Any]:
    ticks = sorted({child[name] for chain in chains.values() for child in chain if name in child}, key=_order)
    rows = [
        {"task": names[task], "step": step, "value": _short(child[name]), "rank": ticks.index(child[name])}
        for task, chain in chains.items()
        for step, child in enumerate(chain, start=1)
        if name in child
    ]
    tasks = list(names.values())
    legend = {"symbolType": "stroke", "columns": 3}
    return {
        "title": title(name),
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": rows},
        "mark": {
            "type": "line",
            "interpolate": "step-after",
            "point": {"size": 30, "opacity": 1},
            "strokeWidth": 1.6,
            "opacity": 0.85,
        },
        "encoding": {
            "x": chart.quantity(
                "step",
                "models from the root",
                axis={"tickMinStep": 1, "tickCount": 5, "format": "d"},
                scale={"nice": False, "zero": False},
            ),
            "y": {
                "field": "value",
                "type": "ordinal",
                "sort": [_short(tick) for tick in reversed(ticks)],
                "scale": {"type": "band"},
                "axis": {"title": None, "grid": True, "labelOverlap": True, "labelLimit": 60},
            },
            "yOffset": {"field": "task", "type": "nominal", "sort": tasks},
            "color": {
                "field": "task",
                "type": "nominal",
                "scale": chart.task_colours(names, numbers),
                "legend": legend,
            },
            "strokeDash": {
                "field": "task",
                "type": "nominal",
                "scale": chart.task_dashes(names, numbers),
                "legend": legend,
            },
            "tooltip": [
                {"field": "task", "title": "task"},
                {"field": "step", "title": "model from the root"},
                {"field": "value", "title": title(name)},
            ],
        },
    }


def _value_axis(ticks: Sequence[str]) -> dict[str, Any]:
    """Values below the bars: turned where they are long or many."""
    letters = sum(map(len, ticks)) * 6 + 10 * len(ticks)
    turned = {"labelAngle": -45} if letters > _WIDTH or len(ticks) > _MOST_VALUES else {"labelAngle": 0}
    return {"title": None, "grid": False, "labelOverlap": True, "labelLimit": 90, **turned}


def _order(value: HyperparameterValue) -> tuple[bool, float, str]:
    """Numbers by size, then text by alphabet."""
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _short(value: HyperparameterValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else drawing.short(value)
