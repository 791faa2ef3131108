"""Paired comparisons: against hand-worked intervals, and how often an interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from munet.suites.paired import compare, t_interval
from tests.suites.rows import rows


def test_pairs_are_by_seed_and_task() -> None:
    own = [*rows("full", [[0.5, 0.7], [0.6, 0.8]]), *rows("munet", [[0.6, 0.7], [0.8, 0.7]])]
    (found,) = compare(own, "full")
    assert (found.method, found.num_seeds, found.num_tasks) == ("munet", 2, 2)
    assert (found.won, found.tied, found.lost) == (2, 1, 1)
    assert found.difference == pytest.approx(0.05)
    # differences by seed are 0.05 and 0.05: no spread between seeds
    assert found.interval == pytest.approx((0.05, 0.05))
    assert found.wider is not None
    assert found.wider[0] < 0.05 < found.wider[1]


def test_the_interval_over_seeds_is_students() -> None:
    values = np.array([0.01, 0.03, 0.05])
    margin = 4.302653 * 0.02 / math.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert t_interval(values) == pytest.approx((0.03 - margin, 0.03 + margin), abs=1e-7)


def test_only_what_both_have_is_compared() -> None:
    own = [*rows("full", [[0.5, 0.7]]), *rows("munet", [[0.6, 0.1], [0.9, 0.9]]), *rows("alien", [[0.2]], ("svhn",))]
    munet, alien = compare(own, "full")
    assert munet.difference == pytest.approx(-0.25)
    assert (munet.num_seeds, munet.num_tasks, munet.interval, munet.wider) == (1, 2, None, None)
    assert (alien.difference, alien.num_seeds, alien.interval) == (None, 0, None)


def test_a_task_that_one_seed_lacks_is_left_out() -> None:
    first, second = rows("munet", [[0.6, 0.7], [0.8, 0.9]])[:2], rows("munet", [[0.6], [0.8]], ("mnist",))[1:]
    (found,) = compare([*rows("full", [[0.5, 0.5], [0.5, 0.5]]), *first, *second], "full")
    assert (found.num_seeds, found.num_tasks) == (2, 1)
    assert found.difference == pytest.approx(0.2)


def test_the_bootstrap_repeats_exactly_and_widens_with_the_tasks() -> None:
    def width(spread: float) -> float:
        tests = [[0.6, 0.6 + spread, 0.6 - spread], [0.61, 0.61 + spread, 0.61 - spread]]
        own = [
            *rows("full", [[0.5] * 3] * 2, ("a", "b", "c")),
            *rows("munet", tests, ("a", "b", "c")),
        ]
        (first,), (second,) = compare(own, "full"), compare(own, "full")
        assert first == second
        assert first.wider is not None
        return first.wider[1] - first.wider[0]

    assert width(0.2) > 5 * width(0.01)


def test_nine_or_more_of_ten_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    held = sum(low <= 0.1 <= high for low, high in (t_interval(random.normal(0.1, 0.05, 5)) for _ in range(2000)))
    assert held / 2000 == pytest.approx(0.95, abs=0.015)
