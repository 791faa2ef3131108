"""What races say of settings: worked out by hand, and drawn to "nothing known" where they say little."""

from __future__ import annotations

import math

import pytest

from munet.config import Experiment, SearchSpace
from munet.evolution.evidence import Evidence, after_race, weights
from munet.quality import Quality

EXPERIMENT = Experiment(search_space=SearchSpace(learning_rate=(0.01, 0.1, 0.5), flip=(False, True)))


def child(rate: float, flip: bool, correct: int | None) -> tuple[dict[str, float | bool], Quality | None]:
    return {"learning_rate": rate, "flip": flip}, None if correct is None else Quality(correct, 1000)


def test_without_evidence_all_values_are_alike() -> None:
    assert weights(EXPERIMENT, {}, "learning_rate") == pytest.approx((1 / 3,) * 3)


def test_evidence_is_what_it_is_by_hand() -> None:
    race = [child(0.01, False, 200), child(0.5, True, 800)]
    found = after_race(EXPERIMENT, {}, race, ("learning_rate", "flip"))
    # Mean 0.5, standard deviation 0.3: one is one deviation below, the other one above it.
    assert [count for count, _ in found["flip"]] == [1.0, 1.0]
    assert [merit for _, merit in found["flip"]] == pytest.approx([-1.0, 1.0])
    # The rates' common neighbour has half of each.
    assert [count for count, _ in found["learning_rate"]] == pytest.approx([1.0, 1.0, 1.0])
    assert [merit for _, merit in found["learning_rate"]] == pytest.approx([-1.0, 0.0, 1.0])
    raw = [math.exp(3.0 * merit / 2.5) for merit in (-1, 1)]
    expected = [0.85 * one / sum(raw) + 0.075 for one in raw]
    assert weights(EXPERIMENT, found, "flip") == pytest.approx(expected)


def test_races_add_up() -> None:
    found: Evidence = {}
    shares = []
    for _ in range(5):
        found = after_race(EXPERIMENT, found, [child(0.1, True, 900), child(0.1, False, 300)], ("flip",))
        shares.append(weights(EXPERIMENT, found, "flip")[1])
    assert shares == sorted(shares)
    assert shares[0] < 0.9 < shares[-1] < 1


def test_differences_within_the_error_say_little() -> None:
    race = [child(0.01, False, 500), child(0.01, True, 503)]
    found = after_race(EXPERIMENT, {}, race, ("flip",))
    assert weights(EXPERIMENT, found, "flip")[1] == pytest.approx(0.5, abs=0.03)


def test_a_child_without_a_result_is_the_worst() -> None:
    race = [child(0.5, False, None), child(0.01, True, 700), child(0.01, True, 600)]
    found = after_race(EXPERIMENT, {}, race, ("learning_rate",))
    assert weights(EXPERIMENT, found, "learning_rate")[2] < 0.2
    nothing = after_race(EXPERIMENT, {}, [child(0.5, False, None)] * 2, ("flip",))
    assert weights(EXPERIMENT, nothing, "flip") == pytest.approx((0.5, 0.5))
