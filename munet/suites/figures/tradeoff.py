"""Figures 3 and 4: mean test accuracy against parameters per task, a curve for each family of methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from munet.report import canvas
from munet.suites.figures import point_labels
from munet.suites.figures.point_labels import Label
from munet.suites.summary import MethodSummary

_LOG_FROM = 8.0  # a larger ratio of sizes needs a logarithmic axis


@dataclass(frozen=True)
class Size:
    """What a method's size is, and its axis."""

    label: str
    of: Callable[[MethodSummary], float]


PARAMS = Size("parameters per task (millions)", lambda method: method.params_per_task.mean / 1e6)
FLOPS = Size("forward MFLOPs of an image, mean over tasks", lambda method: method.flops.mean / 1e6)


def latency(seconds: Mapping[str, float]) -> Size:
    """Of methods whose latency was measured: seconds an image by name."""
    return Size("measured latency of an image (ms), mean over tasks", lambda method: 1000 * seconds[method.name])


def draw(
    methods: Sequence[MethodSummary],
    curves: Mapping[str, str],
    chosen: Collection[str] = (),
    size: Size = PARAMS,
    metric: str = "accuracy",
) -> bytes | None:
    """The figure; None without any method.

    Args:
      methods: in the order in which a curve joins them.
      curves: the curve of each method by its name; "" or none: a point of its own.
      chosen: the curves to show; all if empty. Points of their own are always shown.
      size: the horizontal axis.
      metric: what the qualities are, in words.
    """
    shown = [m for m in methods if not curves.get(m.name) or not chosen or curves[m.name] in chosen]
    if not shown:
        return None
    groups: dict[str, list[MethodSummary]] = {}
    for method in shown:
        groups.setdefault(curves.get(method.name) or method.title, []).append(method)
    with canvas.canvas(7.0, 5.0) as (figure, axes):
        axis = axes[0, 0]
        written = [_curve(axis, name, members, size, index) for index, (name, members) in enumerate(groups.items())]
        sizes = [size.of(method) for method in shown]
        if max(sizes) > _LOG_FROM * min(sizes):
            _logarithmic(axis)
        axis.margins(x=0.08, y=0.08)  # room for labels
        axis.set_xlabel(size.label)
        axis.set_ylabel(f"mean test {metric} (%)")
        figure.legend(loc="outside upper center", ncols=min(2, len(groups)))
        point_labels.write(figure, axis, written)
        return canvas.svg(figure)


def _logarithmic(axis: Any) -> None:
    """With plain numbers: sizes span one or two powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _curve(axis: Any, name: str, members: Sequence[MethodSummary], size: Size, index: int) -> list[Label]:
    """Points joined by a line, and a band of one standard deviation; a bar where there is only one point.

    Returns:
      What is to be written beside the points; nothing beside a point that the legend names.
    """
    x = [size.of(method) for method in members]
    y = [100 * method.test.mean for method in members]
    std = [100 * (method.test.std or 0.0) for method in members]
    colour, marker = canvas.colour(index), canvas.MARKERS[index % len(canvas.MARKERS)]
    if len(members) == 1:
        axis.errorbar(x, y, yerr=std if any(std) else None, color=colour, fmt=marker, capsize=3, label=name)
        return [Label("", x[0], y[0], colour)]
    axis.plot(x, y, color=colour, marker=marker, label=name)
    low, high = [a - s for a, s in zip(y, std, strict=True)], [a + s for a, s in zip(y, std, strict=True)]
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    titles = [method.title.removeprefix(name).strip(", ") or method.title for method in members]
    return [Label(title, a, b, colour) for title, a, b in zip(titles, x, y, strict=True)]
