"""The validation curve as an SVG: accuracy by task, and the losses, over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from munet.joint.held_out import mean_quality
from munet.joint.records import CurvePoint
from munet.report import drawing
from munet.report.charts import chart
from munet.report.charts.chart import Chart
from munet.report.drawing import INK, TASK_COLOURS

_MAX_LINES = 10  # tasks with a line of their own; more have only their mean
_WIDTH, _HEIGHT = 380, 220
_NAME = 40  # letters in a legend


def to_svg(points: Sequence[CurvePoint], num_steps: int, title: str) -> str:
    """The picture of a curve with at least one point, up to `num_steps` steps; equal curves have equal bytes."""
    steps = [point.step for point in points]
    names = list(points[0].validation)
    lines = {name: [point.validation[name].value for point in points] for name in names if len(names) <= _MAX_LINES}
    means = {f"mean of {len(names)} tasks": [mean_quality(point.validation) for point in points if names]}
    losses = {
        "training": [point.training_loss for point in points],
        "validation": [point.validation_loss for point in points],
    }
    end = max(num_steps, steps[-1])
    finite = [loss for values in losses.values() for loss in values if math.isfinite(loss)]
    top = max(finite, default=1.0) or 1.0
    shown = [_panel(losses, {}, steps, end, top, _what_losses_are(points), is_share=False)]
    if names:
        bold = means if len(names) > 1 else {}
        shown.insert(0, _panel(lines, bold, steps, end, 1.0, "validation accuracy", is_share=True))
    spec = chart.panels(
        shown,
        2,
        title={"text": drawing.short(title, 90), "fontSize": 15, "limit": 0, "offset": 18, "frame": "bounds"},
        resolve={"scale": {"color": "independent"}},
    )
    return Chart("curve", title, "Validation accuracy by task, and losses, over the steps.", spec).svg().decode()


def _what_losses_are(points: Sequence[CurvePoint]) -> str:
    """Cross-entropies are in nats; a mean that errors of values are in, too, has no unit."""
    classified = {task for point in points for task in point.validation}
    if not classified:
        return "loss"
    is_mixed = any(task not in classified for point in points for task in point.validation_losses)
    return "loss (mean of the tasks' own)" if is_mixed else "loss (nats)"


def _panel(
    lines: Mapping[str, Sequence[float]],
    bold: Mapping[str, Sequence[float]],
    steps: Sequence[int],
    end: int,
    top: float,
    what: str,
    *,
    is_share: bool,
) -> dict[str, Any]:
    """Lines, of which the bold ones are black, with a point at their ends, whose values the legend says."""
    said = chart.labels([*lines, *bold], _NAME)
    last = {name: values[-1] * (100 if is_share else 1) for name, values in {**lines, **bold}.items()}
    named = {name: f"{said[name]}: {last[name]:.3g}{'%' if is_share else ''}" for name in said}
    rows = [
        {
            "line": named[name],
            "step": step,
            "value": value if math.isfinite(value) else None,
            "is_end": step == steps[-1],
            "is_bold": name in bold,
        }
        for name, values in {**lines, **bold}.items()
        for step, value in zip(steps, values, strict=True)
    ]
    colours = [*(TASK_COLOURS[place % len(TASK_COLOURS)] for place in range(len(lines))), *(INK for _ in bold)]
    axis = chart.share_axis(tickCount=5) if is_share else {"tickCount": 5}
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": rows},
        "encoding": {
            "x": chart.quantity(
                "step", "steps", scale={"domain": [0, end], "nice": False}, axis={"tickCount": 4, "format": ",d"}
            ),
            "y": chart.quantity("value", what, scale={"domain": [0, top], "nice": False}, axis=axis),
            "color": {
                "field": "line",
                "type": "nominal",
                "scale": {"domain": list(named.values()), "range": colours},
                "legend": {"orient": "bottom", "direction": "vertical", "columns": 1, "symbolType": "stroke"},
            },
        },
        "layer": [
            {
                "mark": {"type": "line", "clip": False},
                "encoding": {"strokeWidth": {"condition": {"test": "datum.is_bold", "value": 2.8}, "value": 1.8}},
            },
            {
                "transform": [{"filter": "datum.is_end"}],
                "mark": {"type": "point", "filled": True, "size": 34, "opacity": 1, "clip": False},
            },
        ],
    }
