"""Intervals hold the truth as often as they say, on made-up test sets; and say nothing where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from munet import intervals, right_images
from munet.errors import CorruptionError
from munet.intervals import of_difference, of_mean, of_paired_difference, of_quality, tells_apart, wilson
from munet.quality import Quality, quality_of

RUNS = 400


def test_wilson_by_hand() -> None:
    assert of_quality(Quality(32, 48)) == pytest.approx((0.5254, 0.7832), abs=1e-4)
    assert of_quality(Quality(0, 10)) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert of_quality(Quality(10, 10)) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_balanced_accuracy_is_as_sure_as_its_small_classes_are() -> None:
    even = quality_of("balanced_accuracy", [8, 8], [10, 10])
    assert intervals.effective_images(even) == 20
    assert of_quality(even) == of_quality(Quality(16, 20))
    skewed = quality_of("balanced_accuracy", [800, 8], [1000, 10])
    assert 30 < intervals.effective_images(skewed) < 4 / (1 / 1000 + 1 / 10)
    whole = quality_of("balanced_accuracy", [1000, 10], [1000, 10])
    assert of_quality(whole)[0] < (1 + wilson(1, 10)[0]) / 2  # ten right ones say no more of the small class
    narrow, wide = intervals.of_accuracy(skewed), of_quality(skewed)
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_intervals_hold_the_truth(metric: str, share: float) -> None:
    random = np.random.default_rng(1)
    counted = [150, 40, 60]
    held = {"one": 0, "paired": 0, "apart": 0}
    for _ in range(RUNS):
        common = random.random(250) < share - 0.1  # what both have right
        first, second = common | (random.random(250) < 0.2), common | (random.random(250) < 0.2)
        truth = share - 0.1 + (1.1 - share) * 0.2
        ours, theirs = (
            quality_of(metric, [int(part.sum()) for part in np.split(right, [150, 190])], counted)
            for right in (first, second)
        )
        one = of_quality(ours)
        held["one"] += one[0] <= truth <= one[1]
        held["paired"] += not tells_apart(of_paired_difference(first, second, counted, metric))
        apart = of_difference(ours.value, theirs.value, one, of_quality(theirs))
        held["apart"] += not tells_apart(apart)
    assert 0.92 <= held["one"] / RUNS <= 0.98
    assert 0.92 <= held["paired"] / RUNS <= 0.99
    assert held["apart"] >= held["paired"]  # what is not paired promises less


@pytest.mark.parametrize("counted", [[10, *[200] * 9], [5, *[1000] * 9], [20, 20, *[500] * 8]])
def test_balanced_intervals_hold_the_truth_where_small_classes_are_harder(counted: list[int]) -> None:
    random, sizes = np.random.default_rng(2), np.array(counted)
    shares = np.where(sizes < 100, 0.5, 0.98)
    by_image = np.repeat(shares, sizes)
    one = paired = 0
    for _ in range(RUNS):
        first, second = (random.random(sizes.sum()) < by_image for _ in range(2))
        correct = [int(part.sum()) for part in np.split(first, np.cumsum(sizes)[:-1])]
        low, high = of_quality(quality_of("balanced_accuracy", correct, counted))
        one += low <= shares.mean() <= high
        paired += not tells_apart(of_paired_difference(first, second, counted, "balanced_accuracy"))
    assert 0.91 <= one / RUNS <= 0.99
    assert 0.91 <= paired / RUNS <= 0.995


def test_one_more_image_wrong_does_not_make_a_balanced_accuracy_unsure() -> None:
    sizes = list(range(10, 110))
    whole, most = (quality_of("balanced_accuracy", correct, sizes) for correct in (sizes, [*sizes[:-1], 108]))
    assert of_quality(whole)[0] == pytest.approx(of_quality(most)[0], abs=0.002)
    assert of_quality(most)[0] > 0.99


@pytest.mark.parametrize(("counted", "better", "worse"), [([5] * 100, 0.25, 0.05), ([2] * 20, 0.4, 0.1)])
def test_the_difference_over_many_small_classes_is_not_drawn_to_zero(
    counted: list[int], better: float, worse: float
) -> None:
    random, held = np.random.default_rng(3), 0
    for _ in range(RUNS):
        drawn = random.random(sum(counted))
        first, second = drawn < better, (better <= drawn) & (drawn < better + worse)
        low, high = of_paired_difference(first, second, counted, "balanced_accuracy")
        held += low <= better - worse <= high
    assert 0.92 <= held / RUNS <= 0.985


def test_classes_of_one_size_are_compared_as_all_images_are() -> None:
    first, second = (np.random.default_rng(seed).random(60) < 0.7 for seed in (4, 5))
    plain, balanced = (of_paired_difference(first, second, [20] * 3, one) for one in ("accuracy", "balanced_accuracy"))
    assert balanced == pytest.approx(plain)


def test_pairs_tell_apart_what_two_counts_cannot() -> None:
    right = np.arange(200) < 180
    better = np.arange(200) < 190  # the same images and ten more
    counts = Quality(190, 200), Quality(180, 200)
    assert tells_apart(of_paired_difference(better, right, [200]))
    assert not tells_apart(of_difference(0.95, 0.9, *map(of_quality, counts)))
    low, high = of_paired_difference(right, right, [200])
    assert (low, high) == (-high, high)
    assert low < 0 < high  # equal on these images is not equal for sure


def test_balanced_pairs_weigh_by_class() -> None:
    first, second = np.zeros(110, bool), np.zeros(110, bool)
    first[100:] = True  # the small class
    plain, balanced = (of_paired_difference(first, second, [100, 10], metric) for metric in ("accuracy", "balanced"))
    assert plain[0] < 10 / 110 < plain[1] < balanced[1]
    assert balanced[0] < 0.5 < balanced[1]


def test_the_mean_of_tasks_is_surer_than_each() -> None:
    each = [wilson(0.8, 100)] * 4
    low, high = of_mean([0.8] * 4, each)
    assert high - low == pytest.approx((each[0][1] - each[0][0]) / 2)
    assert of_mean([0.8], each[:1]) == pytest.approx(each[0])


@pytest.mark.parametrize("count", [1, 8, 1000, 1001])
def test_which_images_are_right_comes_back_class_by_class(count: int) -> None:
    random = np.random.default_rng(count)
    is_right, labels = random.random(count) < 0.7, random.integers(0, 3, count)
    text = right_images.pack(is_right, labels)
    assert text.isascii()
    assert len(text) <= count / 6 + 4
    found = right_images.unpack(text, count)
    assert found.tolist() == [right for label in range(3) for right in is_right[labels == label].tolist()]


@pytest.mark.parametrize("text", ["", "AAA=AAA=", "AA", "é"])
def test_text_of_other_images_is_refused(text: str) -> None:
    with pytest.raises(CorruptionError, match="Which images are right"):
        right_images.unpack(text, 9)
