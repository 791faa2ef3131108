"""Quality is exact: integers in, fractions compared, one rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from munet.quality import Quality, Stratum, least_compressed, metric_words, quality_of
from munet.store.codec import from_json, to_json


def test_balanced_accuracy_is_the_mean_over_the_classes_present() -> None:
    quality = quality_of("balanced_accuracy", [9, 1, 0, 2], [10, 2, 0, 4])
    assert quality.ratio == (Fraction(9, 10) + Fraction(1, 2) + Fraction(2, 4)) / 3
    assert (quality.correct, quality.counted, quality.metric) == (12, 16, "balanced_accuracy")
    assert (quality.value, quality.accuracy) == (float(Fraction(19, 30)), 12 / 16)


def test_accuracy_has_no_strata() -> None:
    assert quality_of("accuracy", [9, 1, 0, 2], [10, 2, 0, 4]) == Quality(12, 16)
    assert (Quality(12, 16).value, Quality(12, 16).metric) == (0.75, "accuracy")


def test_classes_of_one_size_are_counted_together() -> None:
    quality = quality_of("balanced_accuracy", [1, 2, 0, 2, 5], [2, 2, 2, 2, 7])
    assert quality.strata == (Stratum(2, 4, 5), Stratum(7, 1, 5))


@pytest.mark.parametrize("seed", range(20))
def test_strata_lose_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    counted = random.integers(0, 9, 50)
    correct = random.integers(0, counted + 1)
    shares = [Fraction(int(c), int(n)) for c, n in zip(correct, counted, strict=True) if n]
    quality = quality_of("balanced_accuracy", correct.tolist(), counted.tolist())
    assert quality.ratio == sum(shares) / len(shares)
    assert len(quality.strata) <= 8


def test_equal_ratios_are_equal_where_floats_are_not() -> None:
    first = quality_of("balanced_accuracy", [1, 2, 3], [3, 3, 3])
    second = quality_of("balanced_accuracy", [3, 1, 2], [3, 3, 3])
    other = quality_of("balanced_accuracy", [1, 2, 6], [3, 3, 6])
    assert first.ratio == second.ratio == other.ratio
    tenth = quality_of("balanced_accuracy", [1, 2, 3], [10, 10, 10])
    assert tenth.ratio == Fraction(1, 5)
    assert (0.1 + 0.2 + 0.3) / 3 != tenth.value == 0.2  # a sum of floats would have said something else


def test_journals_of_accuracy_stay_as_they_were() -> None:
    assert to_json(Quality(3, 4)) == {"correct": 3, "counted": 4}
    assert from_json(Quality, {"correct": 3, "counted": 4}) == Quality(3, 4)
    balanced = quality_of("balanced_accuracy", [1, 2], [2, 2])
    assert from_json(Quality, to_json(balanced)) == balanced
    assert to_json(balanced)["strata"] == [{"size": 2, "classes": 2, "correct": 3}]


def test_metrics_have_names_for_people() -> None:
    assert metric_words("balanced_accuracy") == "balanced accuracy"


def test_what_a_compressed_model_may_lose_in_points_or_a_standard_error() -> None:
    quality = Quality(90, 100)
    assert float(least_compressed(quality, 0.5)) == pytest.approx(0.895)
    assert least_compressed(quality, 0) == quality.ratio
    assert float(least_compressed(quality, None)) == pytest.approx(0.9 - 0.03)
    assert least_compressed(Quality(100, 100), None) == 1
    # Two classes of 50 images with 40 right each, one of 100 with 90.
    balanced = Quality(170, 200, (Stratum(50, 2, 80), Stratum(100, 1, 90)))
    by_hand = math.sqrt(2 * 0.8 * 0.2 / 50 + 0.9 * 0.1 / 100) / 3
    assert float(balanced.ratio - least_compressed(balanced, None)) == pytest.approx(by_hand)
