"""Suites on tasks of values: seeds side by side, errors instead of accuracies, and pictures of the search."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from munet.config import MuirConfig
from munet.errors import SuiteError
from munet.suites import benchmark
from munet.suites.alignments import Search
from munet.suites.plan import plan
from munet.suites.suite import SUITE_FILES, Method, Suite
from munet.suites.summary import Sample
from munet.suites.value_pages import markdown, with_error
from munet.suites.value_rows import ValueRow
from tests.methods.muir import small
from tests.suites.test_benchmark import finish

FILE = """
from munet.suites.suite import Method, Suite

def get_suite(variant=""):
    methods = (
        Method("single", "muir:synthetic,single", label="STL"),
        Method("optimization_8_clean", "muir:synthetic", label="Optimization"),
    )
    settings = {{
        "groups": (0, 0, 0, 1, 1, 1), "block_rows": 8, "challengers": 2, "generations": 3, "final_generations": 1,
        "generation_rounds": 5, "cache_dir": {cache!r},
    }}
    return Suite(methods, tasks={tasks!r}, settings=settings, benchmark="muir_table_2")
"""


def test_a_suite_end_to_end(tmp_path: Path) -> None:
    settings = small.config(tmp_path)
    file = tmp_path / "suite.py"
    file.write_text(FILE.format(tasks=settings.experiment.tasks, cache=settings.runtime.cache_dir))
    workdir = tmp_path / "suite"
    said = finish(str(file), workdir, "--repeats=2", "--reference=paper")
    assert "mean test RMSE over tasks, the lower the better" in said
    with (workdir / "results.csv").open() as lines:
        seeds = list(csv.DictReader(lines))
    assert [(row["method"], row["seed"]) for row in seeds] == [
        (method, seed) for method in ("single", "optimization_8_clean") for seed in ("0", "1")
    ]
    with (workdir / "results_tasks.csv").open() as lines:
        found = list(csv.DictReader(lines))
    assert [(row["method"], row["seed"]) for row in found[::6]] == [
        ("single", "0"), ("single", "1"), ("optimization_8_clean", "0"), ("optimization_8_clean", "1"),
    ]  # fmt: skip
    assert {row["metric"] for row in found} == {"RMSE"}
    own = [float(row["end"]) for row in found if (row["method"], row["seed"]) == ("single", "1")]
    assert float(seeds[1]["end"]) == pytest.approx(sum(own) / 6, rel=1e-4)
    page = (workdir / "results.md").read_text()
    assert "averaged over the 6 tasks of a seed" in page
    assert "| Optimization | 2 |" in page
    assert "0.00 ± 0.00" in page  # the paper's
    assert "GO-MTL 0.35" in page
    assert "figures/figure_2_optimization_8_clean.svg" in page
    assert (workdir / "figures" / "figure_2_optimization_8_clean.svg").read_text().startswith("<svg")
    assert "2 complete, 0 to do" in finish(str(file), workdir, "--repeats=2")
    changed = tmp_path / "changed.py"
    changed.write_text(file.read_text().replace('"challengers": 2', '"challengers": 1'))
    with pytest.raises(SuiteError, match=r"challengers: 2 -> 1"):
        benchmark.benchmark(benchmark.Options(str(changed), str(workdir), repeats=2), lambda _: None)


def test_seeds_are_replicas_of_one_training() -> None:
    (run,) = plan(Suite((Method("a", "muir"),)), "x", 3)
    assert isinstance(run.config, MuirConfig)
    assert (run.config.experiment.seed, run.config.experiment.replicas) == (0, 3)
    assert run.workdir == "x/runs/a/seeds_0-2"
    assert run.name == "a, seeds 0 to 2"


def test_values_and_accuracies_make_two_suites() -> None:
    with pytest.raises(SuiteError, match=r"values: values; joint: accuracies.*make a suite of each"):
        plan(Suite((Method("values", "muir"), Method("joint", "joint"))), "x", 1)


@pytest.mark.parametrize("variant", ["table_2", "stays", "cross_modal", "table_6", "table_7", "characters", "tiny"])
def test_the_suites_that_ship_can_be_planned(variant: str) -> None:
    suite = SUITE_FILES.load(f"muir:{variant}")
    runs = plan(suite, "x", 2)
    assert {run.method.name for run in runs} == set(suite.names)
    assert len(runs) == len(suite.methods) * (2 if variant == "characters" else 1)  # seeds side by side are one run


def test_spreads() -> None:
    spread = Sample((1.0, 2.0, 6.0))
    assert (spread.mean, spread.median) == (3.0, 2.0)
    assert spread.error == pytest.approx(np.std([1, 2, 6], ddof=1) / np.sqrt(3))
    assert with_error(Sample((0.5,))) == "0.500"


def test_who_leaves_the_true_mapping() -> None:
    true, left = [0, 0, 1, 1], [0, 1, 1, 1]
    search = Search(0, np.array([[0, 1, 2, 3], true, left, true, true]), (0, 4, -4, 4, 4))
    assert search.first_full == 1
    assert search.share_full == pytest.approx(2 / 3)
    assert search.leavers() == {1: 1}
    never = Search(0, np.array([[0, 1, 2, 3]]), (0,))
    assert (never.first_full, never.share_full) == (None, None)


def test_the_table_of_the_search() -> None:
    """The middle of an even number, seeds without a later generation, and the method's own tasks."""

    def search(seed: int, *scores: int) -> Search:
        after = [[0, 0, 1, 1] if score == 4 else [0, 0, 2, 0] for score in scores]
        mappings = np.array([[0, 1, 2, 3], *after])
        return Search(seed, mappings, (0, *scores), tasks=("x/a", "x/b", "x/c", "x/d"))

    rows = [
        ValueRow(method, method.title(), 0, f"x/{task}", "RMSE", 1.0, 1.0, 1.0, 1.0, 1, 1, 1, 1, 1, 1, 1, 1, 1.0)
        for method, tasks in (("pair", "dc"), ("all", "abcd"))
        for task in tasks
    ]

    def page(*found: Search) -> str:
        return markdown(rows, {"pair": [], "all": found}, suite="x", notes=[])

    early, late = search(0, 4, 4, 4), search(1, 1, 1, 4)
    assert "| All | 2 of 2 | 2 (1 to 3) | 100% | 2 of 2 | - |" in page(early, late)
    assert "| All | 2 of 2 | 1.5 (1 to 2) |" in page(early, search(1, 1, 4, 4))
    assert "| All | 1 of 1 | 1 (1 to 1) | 50% | 1 of 1 | c (1), d (1) |" in page(search(2, 4, 1, 4))
    assert "| All | 1 of 1 | 3 (3 to 3) | - | 1 of 1 | - |" in page(late)
