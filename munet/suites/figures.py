"""The paper's Figures 3, 4, 5 and 8 of a suite's runs: the specifications that reports have, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from munet.report.charts import hyperparameters, tradeoff, validation
from munet.report.charts.chart import Chart
from munet.report.charts.tradeoff import Curve, Point
from munet.report.facts import lineages, mutations
from munet.store import Store
from munet.suites import summary
from munet.suites.rows import Row
from munet.suites.suite import Suite
from munet.suites.summary import MethodSummary
from munet.types import JournalEntry, TaskName

CAPTIONS = {  # a title, and what is to be seen; the quality metric goes into it
    "figure_3": (
        "Figure 3",
        "Mean test {metric} against parameters per task; bands and bars: one standard deviation over runs.",
    ),
    "figure_3_flops": (
        "Figure 3, FLOPs",
        "As Figure 3, against the work of a forward pass, which the paper does not show.",
    ),
    "figure_3_latency": (
        "Figure 3, latency",
        "As Figure 3, against the measured time of a forward pass of one image; methods whose score counts it.",
    ),
    "figure_4": ("Figure 4", "As Figure 3, without adapter insertion: with auto-tuning and without."),
    "figure_5": (
        "Figure 5",
        "Validation {metric} along the lineage of each task's final model, a line for each run.",
    ),
    "figure_8": (
        "Figure 8",
        "Hyper-parameters of the sampled children, pooled over runs; seed children are left out.",
    ),
}


@dataclass(frozen=True)
class Size:
    """What a method's size is, and its axis."""

    label: str
    of: Callable[[MethodSummary], float]


PARAMS = Size("parameters per task", lambda method: method.params_per_task.mean)
FLOPS = Size("forward MFLOPs of an image, mean over tasks", lambda method: method.flops.mean / 1e6)


def latency(seconds: Mapping[str, float]) -> Size:
    """Of methods whose latency was measured: seconds an image by name."""
    return Size("measured latency of an image (ms), mean over tasks", lambda method: 1000 * seconds[method.name])


def figures(
    rows: Sequence[Row], suite: Suite, curves: Mapping[str, str], workdirs: Mapping[tuple[str, int], str]
) -> list[Chart]:
    """Every figure that these runs can show.

    Args:
      rows: of all complete runs.
      suite: which methods and curves each figure shows.
      curves: of each method by its name, of methods of earlier suites too.
      workdirs: of the complete runs, by method and seed.
    """
    found, metric = summary.methods(rows), summary.metric(rows)
    names = ("figure_3", *(["figure_4"] if "figure_4" in suite.figures else []))
    sizes = [(name, found, PARAMS, suite.figures.get(name, ())) for name in names]
    chosen = suite.figures.get("figure_3", ())
    sizes.append(("figure_3_flops", found, FLOPS, chosen))
    times = _latencies(workdirs)
    timed = [method for method in found if method.name in times]
    sizes.append(("figure_3_latency", timed, latency(times), chosen))
    drawn = [of_size(name, methods, curves, only, size, metric) for name, methods, size, only in sizes]
    evolved = list(dict.fromkeys(row.method for row in rows if not row.baseline and row.kind == "evolve"))
    titles = {method.name: method.title for method in found}
    followed = suite.lineages or (suite.compared_with, *evolved[-1:])
    drawn.append(
        _lineages({titles[name]: _places(workdirs, name) for name in dict.fromkeys(followed) if name in titles}, rows)
    )
    sampled = suite.histograms or evolved[:2]
    drawn.append(_histograms({titles[name]: _places(workdirs, name) for name in sampled if name in titles}, metric))
    return [chart for chart in drawn if chart is not None]


def of_size(
    name: str,
    methods: Sequence[MethodSummary],
    curves: Mapping[str, str],
    chosen: Sequence[str] = (),
    size: Size = PARAMS,
    metric: str = "accuracy",
) -> Chart | None:
    """Quality against a size; None without any method.

    Args:
      name: of the figure.
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
    drawn = [Curve(curve, [_point(curve, method, size) for method in own]) for curve, own in groups.items()]
    rows = [
        {
            "curve": curve.name,
            "method": one.name,
            "size": one.size,
            "test": one.quality,
            "low": one.low,
            "high": one.high,
        }
        for curve in drawn
        for one in curve.points
    ]
    return _chart(name, tradeoff.spec(drawn, size.label, f"mean test {metric}"), metric, rows)


def _point(curve: str, method: MethodSummary, size: Size) -> Point:
    """A method with one standard deviation; beside its curve's name only what distinguishes it."""
    std = method.test.std or 0.0
    name = method.title.removeprefix(curve).strip(", ") or method.title
    return Point(name, size.of(method), method.test.mean, method.test.mean - std, method.test.mean + std)


def _lineages(places: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> Chart | None:
    """Figure 5 of methods by title."""
    runs = {title: [lineages.families(_entries(place)).lineages() for place in own] for title, own in places.items()}
    names, metric = summary.tasks(rows), summary.metric(rows)
    spec = validation.spec(runs, names, metric)
    return _chart("figure_5", spec, metric, validation.rows(runs, names)) if spec else None


def _histograms(places: Mapping[str, Sequence[str]], metric: str) -> Chart | None:
    """Figure 8 of methods by title."""
    sampled = {
        title: [child for place in own for child in mutations.sampled(_entries(place))] for title, own in places.items()
    }
    spec = hyperparameters.histograms(sampled)
    return _chart("figure_8", spec, metric, hyperparameters.shares(sampled)) if spec else None


def _chart(name: str, spec: Mapping[str, object], metric: str, rows: Sequence[Mapping[str, object]]) -> Chart:
    title, caption = CAPTIONS[name]
    return Chart(name, title, caption.format(metric=metric), spec, rows)


def _places(workdirs: Mapping[tuple[str, int], str], name: str) -> list[str]:
    return [place for (method, _), place in workdirs.items() if method == name]


def _entries(workdir: str) -> list[JournalEntry]:
    return list(Store.open(workdir).journal.entries())


def latencies(workdir: str) -> dict[TaskName, float | None]:
    """Seconds an image of every task's retained model; None where the score does not count them."""
    families = lineages.families(_entries(workdir))
    return {task: families.children[phase.retained].latency for task, phase in families.last.items()}


def _latencies(workdirs: Mapping[tuple[str, int], str]) -> dict[str, float]:
    """Seconds an image by method: the mean over tasks and runs, where every one of them was measured."""
    measured: dict[str, list[float | None]] = {}
    for (method, _), place in workdirs.items():
        measured.setdefault(method, []).extend(latencies(place).values())
    known = {method: [time for time in times if time is not None] for method, times in measured.items()}
    return {
        method: math.fsum(times) / len(times)
        for method, times in known.items()
        if times and len(times) == len(measured[method])
    }
