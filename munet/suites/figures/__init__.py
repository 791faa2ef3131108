"""The paper's Figures 3, 4, 5 and 8 of a suite's runs, as SVG (spec section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from munet.suites import journals, summary
from munet.suites.figures import histograms, lineage, tradeoff
from munet.suites.rows import Row
from munet.suites.suite import Suite

CAPTIONS = {
    "figure_3.svg": "Test quality against parameters per task; bands and bars: one standard deviation over runs.",
    "figure_3_flops.svg": "The same against the work of a forward pass, which the paper does not show.",
    "figure_4.svg": "As Figure 3, without adapter insertion.",
    "figure_5.svg": "Validation accuracy along the lineage of each task's final model, a line for each run.",
    "figure_8.svg": "Hyper-parameters of the sampled children, pooled over runs; seed children are left out.",
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
    found = summary.methods(rows)
    drawn: dict[str, bytes | None] = {
        f"{name}.svg": tradeoff.draw(found, curves, suite.figures.get(name, ()))
        for name in ("figure_3", *(["figure_4"] if "figure_4" in suite.figures else []))
    }
    drawn["figure_3_flops.svg"] = tradeoff.draw(found, curves, suite.figures.get("figure_3", ()), tradeoff.FLOPS)
    evolved = list(dict.fromkeys(row.method for row in rows if not row.baseline))
    titles = {method.name: method.title for method in found}
    followed = suite.lineages or (suite.compared_with, *evolved[-1:])
    drawn["figure_5.svg"] = lineage.draw(
        {
            titles[name]: [journals.lineages(place) for (method, _), place in workdirs.items() if method == name]
            for name in dict.fromkeys(followed)
            if name in titles
        },
        summary.tasks(rows),
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
