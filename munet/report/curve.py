"""The validation curve as an SVG: accuracy by task, and the losses, over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from munet.joint.held_out import mean_quality
from munet.joint.workdir import CurvePoint
from munet.report import canvas
from munet.report.drawing import INK

_MAX_LINES = 10  # tasks with a line of their own; more have only their mean
_HEIGHT, _LEGEND_LINE = 3.6, 0.2  # inches: of everything but the legends, and of one line of these


def to_svg(points: Sequence[CurvePoint], num_steps: int, title: str) -> str:
    """The picture of a curve with at least one point, up to `num_steps` steps; equal curves have equal bytes."""
    names, steps = list(points[0].validation), [point.step for point in points]
    end = max(num_steps, steps[-1])
    own = names if len(names) <= _MAX_LINES else []
    losses = [[point.training_loss for point in points], [point.validation_loss for point in points]]
    num_lines = max(len(own) + (len(names) > 1), len(losses))
    with canvas.canvas(9.5, _HEIGHT + _LEGEND_LINE * num_lines, columns=2 if names else 1) as (figure, axes):
        accuracy, loss = axes[0][0], axes[0][-1]
        for index, name in enumerate(own):
            values = [100 * point.validation[name].value for point in points]
            _line(accuracy, steps, values, name, canvas.colour(index))
        if len(names) > 1:
            means = [100 * mean_quality(point.validation) for point in points]
            _line(accuracy, steps, means, f"mean of {len(names)} tasks", INK, linewidth=2.8)
        for index, name in enumerate(("training", "validation")):
            _line(loss, steps, losses[index], name, canvas.colour(index))
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, horizontalalignment="left")
        if names:
            _finish(accuracy, "validation accuracy (%)", end, 100.0)
        _finish(loss, "loss (nats)" if names else "loss", end, max(map(max, losses)))
        return canvas.svg(figure, title).decode()


def _line(axis: Any, steps: Sequence[int], values: Sequence[float], name: str, colour: str, **options: Any) -> None:
    """A line with a point at its end, whose value the legend says."""
    last: dict[str, Any] = {"marker": "o", "markersize": 4, "markevery": [-1]}
    axis.plot(steps, values, color=colour, label=f"{name}: {values[-1]:.3g}", clip_on=False, **last, **options)


def _finish(axis: Any, what: str, end: int, top: float) -> None:
    """Axes from 0 to their largest values, their names, and the legend below."""
    axis.set(xlim=(0, end), ylim=(0, top or 1.0), xlabel="steps")
    axis.set_title(what, loc="left", fontsize=10, fontweight="normal")
    axis.locator_params(axis="x", nbins=4, integer=True)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    names = [line.get_label() for line in axis.lines]  # given, so that one may begin with an underscore
    axis.legend(axis.lines, names, loc="upper left", bbox_to_anchor=(0.0, -0.2), borderaxespad=0.0, handlelength=1.6)
