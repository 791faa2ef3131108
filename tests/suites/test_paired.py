"""Paired comparisons: against hand-worked intervals, and how often an interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from munet.intervals import tells_apart
from munet.suites.paired import compare, crossed_interval, over_seeds, t_interval, verdict
from tests.suites.rows import rows


def test_the_verdict_names_who_is_not_told_apart() -> None:
    own = [
        *rows("full", [[0.5], [0.6], [0.55]], ("x",)),
        *rows("better", [[0.6], [0.7], [0.66]], ("x",)),
        *rows("same", [[0.6], [0.5], [0.56]], ("x",)),
    ]
    assert verdict(compare(own, "full"), "FULL") == (
        "Told apart from FULL: BETTER. Not told apart from FULL (the interval over seeds holds zero): SAME."
    )
    assert verdict(compare([*rows("full", [[0.5]], ("x",)), *rows("one", [[0.6]], ("x",))], "full"), "FULL") == ""


def test_pairs_are_by_seed_and_task() -> None:
    own = [*rows("full", [[0.5, 0.7], [0.6, 0.8]]), *rows("munet", [[0.6, 0.7], [0.8, 0.7]])]
    (found,) = compare(own, "full")
    assert (found.method, found.num_seeds, found.num_tasks) == ("munet", 2, 2)
    assert (found.won, found.tied, found.lost) == (2, 1, 1)
    assert found.difference == pytest.approx(0.05)
    assert found.interval is None  # differences by seed are 0.05 and 0.05, as chance makes them of few seeds
    assert found.wider is not None
    assert found.wider[0] < 0.05 < found.wider[1]


def test_the_interval_over_seeds_is_students() -> None:
    values = np.array([0.01, 0.03, 0.05])
    margin = 4.302653 * 0.02 / math.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert t_interval(values) == pytest.approx((0.03 - margin, 0.03 + margin), abs=1e-7)


def test_seeds_that_are_equal_by_chance_tell_nothing_apart() -> None:
    assert over_seeds(np.array([0.01])) is None
    assert over_seeds(np.array([0.01, 0.01])) is None
    assert over_seeds(np.zeros(3)) == (0, 0)
    random, told = np.random.default_rng(0), 0
    for _ in range(1000):  # two methods that get 1 % of 200 images right that the other gets wrong
        wins, losses = random.binomial(200, 0.01, (2, 2))
        interval = over_seeds((wins - losses) / 200)
        told += interval is not None and tells_apart(interval)
    assert told < 70


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


def test_the_interval_over_seeds_and_tasks_is_that_of_a_crossed_design() -> None:
    """By hand: means of seeds 0.22, 0.24, of tasks 0.11, 0.24, 0.34; four residuals of 0.01, two of 0."""
    table = np.array([[0.10, 0.22, 0.34], [0.12, 0.26, 0.34]])
    seeds, tasks, residual = 0.0006, 0.0266, 0.0002  # mean squares, with 1, 2 and 2 degrees of freedom
    freedom = 0.0270**2 / (seeds**2 / 1 + tasks**2 / 2 + residual**2 / 2)
    margin = stats.t.ppf(0.975, freedom) * math.sqrt(0.0270 / 6)
    assert crossed_interval(table) == pytest.approx((0.23 - margin, 0.23 + margin), rel=1e-9)


def test_nine_or_more_of_ten_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    held = sum(low <= 0.1 <= high for low, high in (t_interval(random.normal(0.1, 0.05, 5)) for _ in range(2000)))
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


SIZES = [(2, 2), (3, 3), (3, 7), (5, 8), (3, 10)]  # seeds, tasks


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(
    "deviations",
    [(0.01, 0.03, 0.02), (0.01, 0.0, 0.02), (0.0, 0.05, 0.01), (0.03, 0.01, 0.02)],
    ids="seeds {0[0]}, tasks {0[1]}, both {0[2]}".format,
)
def test_intervals_over_seeds_and_tasks_hold_the_truth(
    sizes: tuple[int, int], deviations: tuple[float, float, float]
) -> None:
    """At least as often as they promise, whichever of the three spreads is the largest."""
    random = np.random.default_rng(0)
    of_seeds, of_tasks, of_both = deviations
    held = 0
    for _ in range(400):
        seeds = random.normal(0, of_seeds, (sizes[0], 1))
        table = 0.1 + seeds + random.normal(0, of_tasks, (1, sizes[1])) + random.normal(0, of_both, sizes)
        low, high = crossed_interval(table)
        held += low <= 0.1 <= high
    assert held / 400 > 0.92


def test_it_is_never_narrower_than_over_seeds_alone() -> None:
    random = np.random.default_rng(1)
    for size in SIZES * 20:
        table = random.normal(0, 0.05, size)
        (low, high), (inner_low, inner_high) = crossed_interval(table), t_interval(table.mean(axis=1))
        assert low <= inner_low <= inner_high <= high


def test_no_spread_at_all_is_an_interval_of_a_point() -> None:
    assert crossed_interval(np.full((2, 3), 0.25)) == pytest.approx((0.25, 0.25))
