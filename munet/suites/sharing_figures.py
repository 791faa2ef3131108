"""Figures of a search over models of several architectures: the paper's Figures 3a and 3b.

Figure 3a is drawn with the *folded* number of parameters: only that can fall below the plain models' (section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from munet.report import drawing
from munet.report.charts import bands, chart, heat_map
from munet.report.charts.bands import Band
from munet.report.charts.chart import Chart
from munet.report.charts.heat_map import Axis
from munet.suites.alignments import Search

WHO, WHICH = "figure_3a_", "figure_3b_"  # beginnings of their files' names
CAPTIONS = {
    WHO: (
        "Figure 3a of {}. Above: how many modules each set of tasks (of many sets: how many tasks) uses that no other "
        "task uses, after each generation. Below: the size of all generated weights, in numbers, where modules that "
        "are no cheaper than their blocks are folded. Mean of the seeds; band: least to most."
    ),
    WHICH: (
        "Figure 3b of {}: how often a block of one layer and a block of the other use the same module at the end, as a "
        "multiple of how often any two blocks of the system do; all seeds together. 1: as often as by chance. "
        "Pairs of which there are none have no cell."
    ),
}
_NAME, _SET = 34, 56  # letters of a layer, and of a set of tasks
_ROOM = 120  # pixels between the pictures: an axis above, title and legend below
_MOST_LAYERS = 40  # of which every pair has a cell
_MOST_SETS = 8  # of tasks that have a line each: as many as there are colours
_LEFT = 42  # pixels beside the names of layers, which fonts of some systems make a quarter wider than they are here


def figures(method: str, title: str, searches: Sequence[Search]) -> list[Chart]:
    """Those of a method that say something: models have several blocks, and modules are shared.

    There is no Figure 3b of more than 40 layers: its cells would be too small to read.
    """
    if not all(one.shared and one.plain for one in searches):
        return []
    found, first = [who_shares(method, title, searches)], searches[0]
    is_shared = any(len(set(one.last)) < len(one.last) for one in searches)
    if is_shared and 1 < len(first.layers) <= _MOST_LAYERS:
        found.append(which_layers(method, title, searches))
    return found


def who_shares(method: str, title: str, searches: Sequence[Search]) -> Chart:
    """Figure 3a: above, how many modules each set of tasks uses and no other; below, numbers in generated weights.

    Args:
      method: its name in the suite.
      title: above it.
      searches: of all seeds, at least one, with `shared`; without `folded` there is no second picture.
    """
    length = min(len(one.shared) for one in searches)
    curves = [
        _band(
            words,
            [[sum(at.get(key, 0) for key in keys) for at in one.shared[:length]] for one in searches],
            searches[0].begins,
        )
        for words, keys in _lines(searches, length).items()
    ]
    panels = [_titled(bands.spec(curves, "generation", "modules"), "modules, by the tasks that use them and no other")]
    if all(one.folded for one in searches):
        folded = _band("with modules, folded", [one.folded[:length] for one in searches], searches[0].begins)
        plain = _band("plain", [[one.plain] * length for one in searches], searches[0].begins)
        low, high = min(folded.low), max(*folded.high, *plain.high)
        margin = 0.1 * max(high - low, 0.02 * high)
        sizes = bands.spec([folded, plain], "generation", "numbers", bounds=(low - margin, high + margin))
        words = "numbers in generated weights; the axis does not begin at 0"
        panels, curves = [*panels, _titled({**sizes, "height": 160}, words)], [*curves, folded, plain]
    apart = {"scale": {"color": "independent", "strokeDash": "independent"}}
    spec = chart.panels(panels, 1, title=_head(title), resolve=apart, spacing=_ROOM)
    return Chart(f"{WHO}{method}", title, CAPTIONS[WHO].format(title), spec, bands.rows(curves))


def which_layers(method: str, title: str, searches: Sequence[Search]) -> Chart:
    """Figure 3b: how often blocks of every two layers share, as a multiple of how often any two blocks do.

    Args:
      method: its name in the suite.
      title: above it.
      searches: of all seeds, at least one, with `layers` and `last`.
    """
    ratios = times_chance(searches)
    names = list(chart.labels(searches[0].layers, _NAME).values())
    most = max(float(np.nanmax(ratios)), 1e-9)
    cells = [
        {"one": one, "other": other, "shade": round(float(ratio) / most, 3), "times": round(float(ratio), 3)}
        for one, row in zip(names, ratios, strict=True)
        for other, ratio in zip(names, row, strict=True)
        if np.isfinite(ratio)
    ]
    tooltip = [{"field": "one"}, {"field": "other"}, {"field": "times", "type": "quantitative", "format": ".2f"}]
    axes = Axis("one", "", names), Axis("other", "", names)
    spec = heat_map.spec(cells, *axes, number="times", number_format=".1f", tooltip=tooltip)
    whole = {**spec, "title": _head(title), "padding": {"left": _LEFT, "top": 12, "right": 12, "bottom": 12}}
    return Chart(f"{WHICH}{method}", title, CAPTIONS[WHICH].format(title), whole, cells)


def times_chance(searches: Sequence[Search]) -> Float[np.ndarray, "layers layers"]:
    """Of pairs of different blocks of two layers the share that uses one module, over the same share of all pairs.

    Pairs of all seeds are added up. Not a number: of a layer of one block with itself, which has no pair, and
    everywhere if nothing is shared.

    Args:
      searches: of all seeds, at least one, with `layers`, `layer_of` and `last`.
    """
    layers = len(searches[0].layers)
    sharing, pairs = np.zeros((layers, layers)), np.zeros((layers, layers))
    for one in searches:
        mapping, layer_of = np.array(one.last), np.array(one.layer_of)
        uses = np.zeros((layers, int(mapping.max()) + 1))
        np.add.at(uses, (layer_of, mapping), 1)
        blocks = np.bincount(layer_of, minlength=layers).astype(float)
        sharing += uses @ uses.T - np.diag(blocks)  # without each block beside itself
        pairs += np.outer(blocks, blocks) - np.diag(blocks)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Float[np.ndarray, "layers layers"] = (sharing / pairs) / (sharing.sum() / pairs.sum())
    return found


def _lines(searches: Sequence[Search], length: int) -> dict[str, list[str]]:
    """The sets of tasks that each line of Figure 3a counts, by what is said of it.

    Of many sets those of several tasks are counted together, by how many tasks they are.
    """
    sets = {key: None for one in searches for counts in one.shared[:length] for key in counts}
    ordered, tasks = sorted(sets, key=lambda key: (key.count("+"), key)), searches[0].tasks
    if len(ordered) <= _MOST_SETS:
        return {_words(key, tasks): [key] for key in ordered}
    found: dict[str, list[str]] = {}
    for key in ordered:
        several = 1 + key.count("+")
        words = f"all {several} tasks" if several == len(tasks) else f"{several} tasks"
        found.setdefault(_words(key, tasks) if several == 1 else words, []).append(key)
    return found


def _band(name: str, values: Sequence[Sequence[int]], begins: int) -> Band:
    """Mean over seeds, least and most, from a generation on."""
    table = np.array(values, float)
    middle, low, high = (found.tolist() for found in (table.mean(axis=0), table.min(axis=0), table.max(axis=0)))
    return Band(name, range(begins, begins + table.shape[1]), middle, low, high)


def _words(key: str, tasks: Sequence[str]) -> str:
    return " + ".join(drawing.short(tasks[int(task)], _SET // (1 + key.count("+"))) for task in key.split("+"))


def _titled(spec: dict[str, Any], title: str) -> dict[str, Any]:
    return {**spec, "title": {"text": title, "fontWeight": "normal", "limit": 0}}


def _head(title: str) -> dict[str, Any]:
    return {"text": drawing.short(title, 70), "fontSize": 15, "limit": 0, "offset": 18, "frame": "bounds"}
