"""Figures 3a and 3b and Table 4 of suites over several architectures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from munet.joint.run import train
from munet.methods.muir.generic import Contrast, Generic
from munet.suites import generic_tables, sharing_figures, value_figures
from munet.suites.alignments import Search, searches
from tests.methods.muir.small import mixed

LAYERS = ("conv of a", "dense of a", "dense of b")
MAPPING = np.array([0, 0, 0, 0, 1, 1, 2, 2])  # blocks 0 to 3 of the first layer, 4 and 5 of the second, 6 and 7


def search(mapping: Any = MAPPING, seed: int = 0) -> Search:
    first, last = {"0": 6, "1": 2}, {"0": 2, "1": 1}
    return Search(
        seed, np.stack([np.arange(8), mapping]), (), (first, last), ("a", "b"), (80, 70 + seed), 80, LAYERS,
        (0, 0, 0, 0, 1, 1, 2, 2), tuple(np.asarray(mapping).tolist()),
    )  # fmt: skip


def test_sharing_beside_chance_by_hand() -> None:
    # Of 28 pairs of blocks 6 share inside of the first layer (of 6), 1 of 1 in each other layer: 8 in all.
    chance = 8 / 28
    found = sharing_figures.times_chance([search()])
    np.testing.assert_allclose(found, np.eye(3) / chance)
    across = np.array([0, 0, 1, 2, 0, 3, 4, 5])  # three share: two of the first layer, one of the second
    found = sharing_figures.times_chance([search(across)])
    expected = np.array([[1 / 6, 2 / 8, 0], [2 / 8, 0, 0], [0, 0, 0]]) / (3 / 28)
    np.testing.assert_allclose(found, expected)
    # If every block shares with every other one, none does more often than by chance; of seeds the sums count.
    np.testing.assert_allclose(sharing_figures.times_chance([search(np.zeros(8, int))]), 1)
    both = sharing_figures.times_chance([search(), search(across)])
    np.testing.assert_allclose(both[0, 1], (2 / 16) / (11 / 56))


def test_figures_hold_the_numbers() -> None:
    titles, found = {"all": "All together"}, {"all": [search(), search(seed=1)], "none": []}
    who, which = value_figures.figures(titles, found)
    assert (who.name, which.name) == ("figure_3a_all", "figure_3b_all")
    folded = [row for row in who.rows if row["curve"] == "with modules, folded"]
    assert [(row["value"], row["low"], row["high"]) for row in folded] == [(80, 80, 80), (70.5, 70, 71)]
    assert {row["curve"] for row in who.rows} == {"a", "b", "with modules, folded", "plain"}
    assert which.rows[0] == {"one": LAYERS[0], "other": LAYERS[0], "shade": 1.0, "times": 3.5}
    for chart in (who, which):
        assert chart.svg().startswith(b"<svg")
        assert "All together" in value_figures.caption(chart.name, titles)
    later = sharing_figures.who_shares("all", "All", [replace(search(), begins=1)])  # no burn-in
    assert [row["step"] for row in later.rows if row["curve"] == "a"] == [1, 2]
    (alone,) = sharing_figures.figures("all", "All", [search(np.arange(8))])  # nothing is shared
    assert alone.name.startswith(sharing_figures.WHO)


def test_many_sets_of_tasks_are_counted_by_how_many_tasks_they_are() -> None:
    counts = dict.fromkeys(("0", "1", "2", "3", "0+1", "0+2", "0+3", "1+2", "0+1+2", "1+2+3", "0+1+2+3"), 1)
    four = replace(search(), shared=({"0": 4}, counts), tasks=("a", "b", "c", "d"))
    rows = sharing_figures.who_shares("all", "All", [four]).rows
    last = {row["curve"]: row["value"] for row in rows if row["step"] == 1 and row["curve"] not in ("plain",)}
    del last["with modules, folded"]
    assert last == {"a": 1, "b": 1, "c": 1, "d": 1, "2 tasks": 4, "3 tasks": 2, "all 4 tasks": 1}


def test_table_4_is_shown_seed_by_seed() -> None:
    one = Generic((3, 7), (20, 9), (Contrast("modules", "norm", 2.0, 4.0, 1e-12, -0.5),))
    other = Generic((5, 7), (20, 11), (Contrast("modules", "norm", 4.0, 4.0, 0.25, -0.1),))
    found = {"all": [replace(search(), generic=one), replace(search(), generic=other)], "old": [search()]}
    page = "\n".join(generic_tables.sections({"all": "All", "old": "Old"}, found))
    assert "| All | 4 | 7 | 20 | 10 |" in page
    assert "| All | modules | norm | 3 | 4 | -0.30 | 1e-12, 0.2 |" in page
    assert "Old" not in page
    assert generic_tables.sections({"old": "Old"}, {"old": [search()]}) == []


def test_a_training_says_all_that_is_drawn(tmp_path: Any) -> None:
    train(mixed(tmp_path, generations=2), str(tmp_path / "run"), lambda _: None)
    (found,) = searches(str(tmp_path / "run"))
    assert len(found.layer_of) == len(found.last) == found.mappings.shape[1]
    assert found.layers[0] == "lstm_0/hidden of small"
    assert found.layers[-1] == "weights of small/1"
    # No burn-in: rows and counts are those of generation 1, and the first row is before it.
    assert (found.begins, len(found.mappings)) == (1, 1 + len(found.shared))
    assert found.generic is not None
    assert sum(found.generic.blocks) == found.mappings.shape[1]
    assert found.plain == 8 * 4 * found.mappings.shape[1]
    assert [chart.name[:10] for chart in value_figures.figures({"x": "X"}, {"x": [found]})] == [
        "figure_3a_",
        "figure_3b_",
    ]


@pytest.mark.parametrize("name", ["figure_3a_x", "figure_2_x", "other"])
def test_every_file_has_a_caption(name: str) -> None:
    words = value_figures.caption(name, {"x": "Method X"})
    number = name.rpartition("_x")[0].replace("_", " ").capitalize()
    assert words.startswith(f"{number} of Method X") if number else words == name
