"""Figures of the alignment search: cells by module over generations (the paper's Figure 2), and the score.

Those of models that have several blocks are in `sharing_figures.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from munet.report import drawing
from munet.report.charts import bands, cells, chart
from munet.report.charts.bands import Band
from munet.report.charts.chart import Chart
from munet.suites import sharing_figures
from munet.suites.alignments import Search

_SHOWN = 100  # generations, of cells: later ones look alike
_PREFIX = "figure_2_"
_CAPTIONS = {
    _PREFIX: (
        "Figure 2 of {}: above, the module of every task of the first seed, in the order of the true groups (colour; "
        "grey: modules that no task has at the end of what is shown, and those for which no colour is left); below, "
        "the score of the mapping after every generation: median of the seeds, and their quartiles."
    ),
    **sharing_figures.CAPTIONS,
}


def figures(titles: Mapping[str, str], searches: Mapping[str, Sequence[Search]]) -> list[Chart]:
    """Figures of every method that searches: Figure 2 where the true groups are known, else Figures 3a and 3b."""
    found = []
    for name, own in searches.items():
        if own and all(one.scores for one in own):
            found.append(_figure(name, titles[name], own))
        elif own:
            found += sharing_figures.figures(name, titles[name], own)
    return found


def caption(name: str, titles: Mapping[str, str]) -> str:
    """What is to be seen in a figure, by its name; methods are called as `titles` has it."""
    for prefix, words in _CAPTIONS.items():
        if name.startswith(prefix):
            method = name.removeprefix(prefix)
            return words.format(titles.get(method, method))
    return name


def _figure(name: str, title: str, searches: Sequence[Search]) -> Chart:
    first, score = searches[0], _score(searches)
    shown, full = first.mappings[:_SHOWN].tolist(), first.mappings.shape[1]
    above = cells.spec(shown, "generation", "task")
    below = bands.spec([score], "generation", "score", bounds=(-full - 1, full + 1))
    panels = [
        _with_title(above, f"module of each task, seed {first.seed}, first {len(shown)} generations"),
        _with_title({**below, "height": 200}, f"score of the mapping (at most {full})"),
    ]
    words = {"text": drawing.short(title, 70), "fontSize": 15, "limit": 0, "offset": 18, "frame": "bounds"}
    return Chart(
        f"{_PREFIX}{name}",
        title,
        _CAPTIONS[_PREFIX].format(title),
        chart.panels(panels, 1, title=words),
        bands.rows([score]),
    )


def _score(searches: Sequence[Search]) -> Band:
    """Median over seeds and the quartiles, as far as all of them went."""
    length = min(len(one.scores) for one in searches)
    values = np.array([one.scores[:length] for one in searches])
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0).tolist()
    return Band("score", range(length), middle, low, high)


def _with_title(spec: Mapping[str, Any], title: str) -> dict[str, Any]:
    return {**spec, "title": {"text": title, "fontWeight": "normal", "limit": 0}}
