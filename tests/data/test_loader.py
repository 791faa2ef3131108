from __future__ import annotations

import numpy as np
import pytest

from munet.config import Experiment
from munet.data import loader

PATH = (0, 0, "mnist", 3)


@pytest.mark.parametrize(
    ("num_train", "batch", "steps"),
    [  # steps of the character benchmark, which follow from the sets' sizes
        (228_000, 512, 100),
        (57_000, 512, 100),
        (19_280, 512, 38),
        (4_750, 512, 10),
        (2_375, 512, 5),
        (300, 300, 1),
    ],
)
def test_steps_per_cycle_of_the_paper(num_train: int, batch: int, steps: int) -> None:
    experiment = Experiment(min_batches_per_cycle=0)
    assert loader.effective_batch_size(num_train, experiment) == batch
    assert loader.steps_per_cycle(num_train, experiment) == steps


def test_a_cycle_has_at_least_the_configured_batches() -> None:
    assert loader.steps_per_cycle(2_375, Experiment(min_batches_per_cycle=10)) == 10


def test_validated_images() -> None:
    experiment = Experiment(batch_size=512, max_validation_batches=10)
    assert loader.num_validated(3_000, experiment) == 3_000
    assert loader.num_validated(12_000, experiment) == 5_120


@pytest.mark.parametrize(("num_examples", "batch"), [(10, 3), (7, 7), (5, 8), (12, 4)])
def test_every_epoch_is_a_permutation(num_examples: int, batch: int) -> None:
    num_steps = 4 * num_examples
    stream = loader.batch_indices(PATH, num_examples, batch, 0, num_steps).reshape(-1)
    assert stream.dtype == np.int32
    epochs = stream[: len(stream) // num_examples * num_examples].reshape(-1, num_examples)
    assert (np.sort(epochs, axis=1) == np.arange(num_examples)).all()
    if num_examples > 5:
        assert len({tuple(epoch) for epoch in epochs[:10]}) > 5


def test_windows_of_steps_agree_with_the_whole() -> None:
    whole = loader.batch_indices(PATH, 23, 5, 0, 40)
    for first, count in ((0, 1), (3, 7), (4, 5), (17, 23), (39, 1), (10, 0)):
        window = loader.batch_indices(PATH, 23, 5, first, count)
        assert window.shape == (count, 5)
        np.testing.assert_array_equal(window, whole[first : first + count])


def test_the_path_matters() -> None:
    others = [(1, 0, "mnist", 3), (0, 0, "mnist", 4), (0, 0, "mnist", 3, 5)]
    base = loader.batch_indices(PATH, 100, 10, 0, 10)
    assert all((loader.batch_indices(path, 100, 10, 0, 10) != base).any() for path in others)


def test_golden_order() -> None:
    # Recorded runs rely on it: it may not change with a library's version.
    assert loader.batch_indices(PATH, 8, 8, 0, 1)[0].tolist() == [1, 3, 2, 0, 6, 7, 5, 4]
