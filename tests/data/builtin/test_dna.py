"""`builtin:dna`: the same windows everywhere, whose numbers follow from hidden motifs and noise."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from munet.data.builtin import dna
from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.errors import DataError

DIGEST = "23ddb70c2e6e97256f724100d2596f0b7364e51723b6e0a79b5d6a5e89d62840"


def test_the_windows_are_what_they_say() -> None:
    task = open_task("builtin:dna", OpenSettings(objectives=("value",)))
    assert (task.info.objective, task.info.num_train, task.info.num_classes) == ("value", 20_000, 0)
    assert "Synthetic" in task.notes[0]
    train = task.split("train")
    assert train.decoded.shape == (20_000, 201)
    assert set(np.unique(train.decoded)) == {1, 2, 3, 4}
    # Variance 1 of the matches, and 0.09 of the noise.
    assert train.labels.mean() == pytest.approx(0, abs=0.02)
    assert train.labels.var() == pytest.approx(1.09, rel=0.03)
    digest = hashlib.sha256(train.decoded.tobytes()).hexdigest()
    assert digest == DIGEST  # on every machine


def test_the_best_match_is_that_of_any_motif_anywhere() -> None:
    windows = np.array([[1, 2, 3, 4, 1], [4, 4, 4, 4, 4]], np.uint8)
    motifs = np.array([[4, 4, 1], [2, 3, 1]], np.int8)
    np.testing.assert_array_equal(dna._best_match(windows, motifs), [2, 2])


def test_who_needs_classes_refuses_it() -> None:
    with pytest.raises(DataError, match="no classes, but a value for each example"):
        open_task("builtin:dna", OpenSettings())
