"""Balanced batches: classes equally often, images of a class equally often, and any window alone."""

from __future__ import annotations

import time

import numpy as np
import pytest

from munet import rng
from munet.data.loader import balanced_indices

PATH = (0, 0, "birds", 3)
LONG_TAIL = np.repeat([0, 1, 3, 4, 6], [40, 11, 1, 1, 3]).astype(np.int32)  # classes 2 and 5 have no images


def shuffled(labels: np.ndarray) -> np.ndarray:
    return labels[np.random.default_rng(0).permutation(len(labels))]


def test_whole_rounds_hold_every_class_equally_often() -> None:
    labels = shuffled(LONG_TAIL)
    stream = balanced_indices(PATH, labels, 10, 0, 40)
    assert stream.dtype == np.int32
    rounds = labels[stream].reshape(-1, 5)
    assert (np.sort(rounds, axis=1) == [0, 1, 3, 4, 6]).all()
    assert len({tuple(order) for order in rounds.tolist()}) > 30  # of 120: not one order again and again


@pytest.mark.parametrize(("first", "count"), [(0, 1), (3, 7), (11, 2)])
def test_no_window_favours_a_class_by_more_than_two(first: int, count: int) -> None:
    labels = shuffled(LONG_TAIL)
    seen = np.bincount(labels[balanced_indices(PATH, labels, 7, first, count)].ravel())[[0, 1, 3, 4, 6]]
    assert seen.max() - seen.min() <= 2


def test_images_of_a_class_come_equally_often_and_in_new_orders() -> None:
    labels = shuffled(LONG_TAIL)
    stream = balanced_indices(PATH, labels, 5, 0, 400).ravel()
    for label, size in ((0, 40), (1, 11), (3, 1), (6, 3)):
        own = stream[labels[stream] == label]
        epochs = own[: len(own) // size * size].reshape(-1, size)
        assert (np.sort(epochs, axis=1) == np.flatnonzero(labels == label)).all()
        if size > 3:
            assert len({tuple(epoch) for epoch in epochs.tolist()}) == len(epochs)


def test_windows_of_steps_agree_with_the_whole() -> None:
    labels = shuffled(LONG_TAIL)
    whole = balanced_indices(PATH, labels, 6, 0, 60)
    for first, count in ((0, 1), (3, 7), (4, 5), (17, 43), (59, 1), (10, 0)):
        window = balanced_indices(PATH, labels, 6, first, count)
        assert window.shape == (count, 6)
        np.testing.assert_array_equal(window, whole[first : first + count])


def test_the_path_matters() -> None:
    base = balanced_indices(PATH, LONG_TAIL, 10, 0, 10)
    for other in ((1, 0, "birds", 3), (0, 0, "birds", 4), (*PATH, "child", 1)):
        assert (balanced_indices(other, LONG_TAIL, 10, 0, 10) != base).any()


def test_thousands_of_classes_cost_little() -> None:
    labels = shuffled(np.repeat(np.arange(1623), 14).astype(np.int32))
    start = time.process_time()
    stream = balanced_indices(PATH, labels, 512, 1000, 10)
    assert time.process_time() - start < 2  # 10 ms on a quiet core; a draw for each class and epoch took 300
    assert np.bincount(labels[stream].ravel(), minlength=1623).max() <= 5  # 5,120 examples: 3.2 rounds


def test_golden_order() -> None:
    # Recorded runs rely on it: it may not change with a library's version.
    assert balanced_indices(PATH, np.array([0, 0, 0, 1, 2, 2], np.int32), 6, 0, 1)[0].tolist() == [1, 5, 3, 0, 3, 4]


def test_orders_of_a_stream_can_be_made_alone() -> None:
    whole = rng.permutations(("a",), 6, 0, 20)
    assert (np.sort(whole, axis=1) == np.arange(6)).all()
    np.testing.assert_array_equal(rng.permutations(("a",), 6, 7, 5), whole[7:12])
    assert len({tuple(order) for order in whole.tolist()}) > 15
