from __future__ import annotations

import hashlib

import numpy as np
import pytest

from munet.data import splits
from munet.data.splits import SPLITS
from munet.errors import DataError


def _set(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    return images, labels


def _contents(split: splits.Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def test_content_order_is_that_of_the_hashes() -> None:
    images, _ = _set([20])
    expected = sorted(range(20), key=lambda index: hashlib.sha256(b"7:" + images[index].tobytes()).digest())
    assert splits.content_order(images, 7).tolist() == expected
    unseeded = sorted(range(20), key=lambda index: hashlib.sha256(images[index].tobytes()).digest())
    assert splits.content_order(images).tolist() == unseeded != expected


def test_rank_in_class() -> None:
    assert splits.rank_in_class(np.array([2, 0, 2, 2, 0, 5])).tolist() == [0, 0, 1, 2, 1, 0]


def test_stratified_counts_are_80_10_10_in_every_class() -> None:
    images, labels = _set([100, 50, 25])
    parts = splits.stratified(images, labels, num_classes=3, seed=0)
    counted = {name: np.bincount(parts[name].labels).tolist() for name in SPLITS}
    assert counted == {"train": [80, 40, 19], "validation": [10, 5, 3], "test": [10, 5, 3]}


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_small_classes_have_one_image_in_each_split(count: int) -> None:
    images, labels = _set([count, 30])
    parts = splits.stratified(images, labels, num_classes=2, seed=0)
    assert [int((parts[name].labels == 0).sum()) for name in SPLITS] == [count - 2, 1, 1]


def test_tiny_classes_train_only() -> None:
    images, labels = _set([2, 1, 30])
    parts = splits.stratified(images, labels, num_classes=3, seed=0)
    assert np.bincount(parts["train"].labels)[:2].tolist() == [2, 1]
    assert set(parts["test"].labels) == {2}


def test_splits_are_a_partition_that_keeps_labels() -> None:
    images, labels = _set([30, 40])
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    parts = splits.stratified(images, labels, num_classes=2, seed=1)
    contents = [_contents(parts[name]) for name in SPLITS]
    assert sum(map(len, contents)) == len(images)
    assert set().union(*contents) == set(label_of)
    for part in parts.values():
        assert part.labels.dtype == np.int32
        assert all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


def test_the_order_of_the_source_does_not_matter() -> None:
    images, labels = _set([30, 40])
    shuffled = np.random.default_rng(5).permutation(len(labels))
    first = splits.stratified(images, labels, num_classes=2, seed=1)
    second = splits.stratified(images[shuffled], labels[shuffled], num_classes=2, seed=1)
    for name in SPLITS:
        np.testing.assert_array_equal(first[name].images, second[name].images)
        np.testing.assert_array_equal(first[name].labels, second[name].labels)


def test_the_seed_matters() -> None:
    images, labels = _set([30, 40])
    tests = [_contents(splits.stratified(images, labels, num_classes=2, seed=seed)["test"]) for seed in (0, 1)]
    assert tests[0] != tests[1]


def test_a_split_is_not_sorted_by_class() -> None:
    # Validation counts the first images only, so they must be a fair sample.
    images, labels = _set([300, 300])
    first = splits.stratified(images, labels, num_classes=2, seed=0)["validation"].labels[:20]
    assert 4 <= first.sum() <= 16


def test_fingerprint_is_of_pixels_labels_and_seed() -> None:
    images, labels = _set([30, 40])

    def fingerprint(images: np.ndarray, labels: np.ndarray, seed: int = 0) -> str:
        return splits.source_of_arrays("x", images, labels, ("a", "b"), seed=seed).fingerprint

    base = fingerprint(images, labels)
    assert fingerprint(images[::-1], labels[::-1]) == base
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    swapped = labels.copy()
    swapped[0] = 1
    assert len({base, fingerprint(changed, labels), fingerprint(images, swapped), fingerprint(images, labels, 1)}) == 4


@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        ([0, 1, 3], 3, "label 3 at index 2"),
        ([0, -1, 1], 2, "label -1 at index 1"),
        ([1, 1, 1], 2, "class 1: a task needs at least 2"),
        ([0, 1], 100_000, "too large"),
    ],
)
def test_wrong_labels_are_refused(labels: list[int], num_classes: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        splits.check_labels("npz:x", np.array(labels), num_classes)


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"npz:x: no train and no test images \(train 0, validation 5, test 0\)"):
        splits.check_sizes("npz:x", {"train": 0, "validation": 5, "test": 0})
