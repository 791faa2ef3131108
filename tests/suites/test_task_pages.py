"""Suites whose tasks have different metrics: a column for each task, and gains whose sign is that of being better."""

from __future__ import annotations

import numpy as np
import pytest

from munet.suites import task_pages, value_pages
from munet.suites.alignments import Search
from munet.suites.value_rows import ValueRow, gains

VALUES = {  # by method and task: the metric, and three seeds at the end
    ("single", "clothes"): ("accuracy", (0.70, 0.71, 0.72)),
    ("single", "words"): ("bits a byte", (3.0, 3.1, 3.2)),
    ("shared", "clothes"): ("accuracy", (0.75, 0.76, 0.765)),
    ("shared", "words"): ("bits a byte", (3.1, 3.25, 3.3)),
    ("pair", "words"): ("bits a byte", (2.0, 3.9, 3.1)),
}


def rows() -> list[ValueRow]:
    return [
        ValueRow(
            method=method, title=method.title(), seed=seed, task=task, metric=metric, end=value, best=value,
            end_validation_loss=1.0, best_validation_loss=0.9, best_round=80, num_modules=5, blocks=8, size=100,
            folded_size=90, plain_size=120, params=50, plain_params=60, run_seconds=7.0,
        )
        for (method, task), (metric, values) in VALUES.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip


def test_a_gain_is_positive_where_the_method_is_better_whatever_the_metric() -> None:
    found = {(gain.method, gain.task): gain for gain in gains(rows(), "single", "end")}
    assert set(found) == {("shared", "clothes"), ("shared", "words"), ("pair", "words")}
    assert found["shared", "clothes"].mean == pytest.approx(0.145 / 3)
    assert found["shared", "words"].values == pytest.approx((-0.1, -0.15, -0.1))
    low, high = found["shared", "words"].interval or (0, 0)
    assert low < -0.35 / 3 < high < 0


def test_the_page_has_a_column_for_each_task_and_no_mean_over_them() -> None:
    page = value_pages.markdown(rows(), {}, suite="x", notes=["Made by y"], against="single")
    assert "| method | seeds | clothes (accuracy) | words (bits a byte) |" in page
    assert "| Single | 3 | 71.00 ± 0.58 % | 3.1000 ± 0.0577 |" in page
    assert "| Pair | 3 | - | 3.0000 ± 0.5508 |" in page
    assert "accuracy (1 task): the higher the better; bits a byte (1 task): the lower the better" in page
    assert "Gains on Single: at the end" in page
    bold = [line for line in page.splitlines() if "**" in line and line.startswith("| Shared")]
    assert len(bold) == 2  # of the end and of the best version; a pair's interval holds zero
    assert not any(line.startswith("| Pair") and "**" in line for line in page.splitlines())
    assert "| Single | 8 | 5 | 120 | 100 | 90 | 7 |" in page


def test_the_terminal_lists_every_task() -> None:
    lines = value_pages.brief(rows())
    assert lines[0].startswith("on test examples at the end")
    assert "    words: 3.1000 ± 0.0577" in lines


def test_a_single_seed_has_no_interval() -> None:
    one = [row for row in rows() if row.seed == 0]
    assert "+5.00 |" in "\n".join(task_pages.sections(one, "single", {}))


def test_who_shares_is_told_by_sets_of_tasks() -> None:
    first, last = {"0": 5, "1": 3}, {"0": 2, "1": 2, "0+1": 2}
    searches = [Search(seed, np.zeros((4, 8), int), (), (first, first, last), ("a", "b"), (9, 8, 7)) for seed in (0, 1)]
    table = task_pages.sharing_table({"all": "All"}, {"all": searches})
    assert "| All | 0 | a 5; b 3 | 9 |" in table
    assert "| All | 2 | a 2; b 2; a + b 2 | 7 |" in table


def test_only_a_burn_in_has_a_module_for_every_block() -> None:
    def legend(begins: int) -> str:
        shared = Search(0, np.zeros((3, 8), int), (), ({"0": 8}, {"0": 4}), ("a",), begins=begins)
        return task_pages.sections(rows(), "single", {"shared": [shared]})[-1]

    assert "Generation 0 is the burn-in, before the search: every block has a module for itself." in legend(0)
    assert "every block" not in legend(1)
