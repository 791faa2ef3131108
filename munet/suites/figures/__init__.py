"""The paper's Figures 3, 4, 5 and 8 of a suite's runs, as SVG (spec section 9)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from munet.suites import journals, summary
from munet.suites.figures import histograms, lineage, tradeoff
from munet.suites.rows import Row
from munet.suites.suite import Suite

CAPTIONS = {  # a title, and what is to be seen; the quality metric goes into it
    "figure_3.svg": (
        "Figure 3",
        "Mean test {metric} against parameters per task; bands and bars: one standard deviation over runs.",
    ),
    "figure_3_flops.svg": (
        "Figure 3, FLOPs",
        "As Figure 3, against the work of a forward pass, which the paper does not show.",
    ),
    "figure_3_latency.svg": (
        "Figure 3, latency",
        "As Figure 3, against the measured time of a forward pass of one image; methods whose score counts it.",
    ),
    "figure_4.svg": ("Figure 4", "As Figure 3, without adapter insertion."),
    "figure_5.svg": (
        "Figure 5",
        "Validation {metric} along the lineage of each task's final model, a line for each run.",
    ),
    "figure_8.svg": (
        "Figure 8",
        "Hyper-parameters of the sampled children, pooled over runs; seed children are left out.",
    ),
}


def figures(
    rows: Sequence[Row], suite: Suite, curves: Mapping[str, str], workdirs: Mapping[tuple[str, int], str]
) -> dict[str, bytes]:
    """Every figure that these runs can show, by file name.

    Args:
      rows: of all complete runs.
      suite: which methods and curves each figure shows.
      curves: of each method by its name, of methods of earlier suites too.
      workdirs: of the complete runs, by method and seed.
    """
    found, metric = summary.methods(rows), summary.metric(rows)
    drawn: dict[str, bytes | None] = {
        f"{name}.svg": tradeoff.draw(found, curves, suite.figures.get(name, ()), metric=metric)
        for name in ("figure_3", *(["figure_4"] if "figure_4" in suite.figures else []))
    }
    chosen = suite.figures.get("figure_3", ())
    drawn["figure_3_flops.svg"] = tradeoff.draw(found, curves, chosen, tradeoff.FLOPS, metric)
    times = _latencies(workdirs)
    timed = [method for method in found if method.name in times]
    drawn["figure_3_latency.svg"] = tradeoff.draw(timed, curves, chosen, tradeoff.latency(times), metric)
    evolved = list(dict.fromkeys(row.method for row in rows if not row.baseline and row.kind == "evolve"))
    titles = {method.name: method.title for method in found}
    followed = suite.lineages or (suite.compared_with, *evolved[-1:])
    drawn["figure_5.svg"] = lineage.draw(
        {
            titles[name]: [journals.lineages(place) for (method, _), place in workdirs.items() if method == name]
            for name in dict.fromkeys(followed)
            if name in titles
        },
        summary.tasks(rows),
        metric,
    )
    drawn["figure_8.svg"] = histograms.draw(
        {
            titles[name]: [
                child for (method, _), place in workdirs.items() if method == name for child in journals.sampled(place)
            ]
            for name in suite.histograms or evolved[:2]
            if name in titles
        }
    )
    return {name: data for name, data in drawn.items() if data is not None}


def _latencies(workdirs: Mapping[tuple[str, int], str]) -> dict[str, float]:
    """Seconds an image by method: the mean over tasks and runs, where every one of them was measured."""
    measured: dict[str, list[float | None]] = {}
    for (method, _), place in workdirs.items():
        measured.setdefault(method, []).extend(journals.latencies(place).values())
    known = {method: [time for time in times if time is not None] for method, times in measured.items()}
    return {
        method: math.fsum(times) / len(times)
        for method, times in known.items()
        if times and len(times) == len(measured[method])
    }
