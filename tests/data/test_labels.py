"""Labels that are no class numbers are refused with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data.labels import class_numbers
from munet.data.tasks import load_task
from munet.errors import DataError


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(4, dtype=np.int64)[[0, 3, 2]], r"int64 \[3, 4\].*look one-hot: give labels.argmax\(axis=1\)"),
        (np.array([[1, 0, 1], [0, 0, 1]]), r"\[2, 3\], expected integers .*several labels an image \(multi-label\)"),
        (np.array([[3, 7], [2, 2]]), "multi-label"),
        (np.zeros((2, 3, 4), bool), "multi-label"),
        (np.array([[3], [2]]), r"Give labels.reshape\(-1\)"),
        (np.array([1.0, 2.0]), r"whole numbers: give labels.astype\(int\)"),
        (np.array([1.5, 2.0]), "real numbers, as of a regression"),
        (np.array([np.nan, 2.0]), "real numbers, as of a regression"),
        (np.array([True, False]), r"bool \[2\].*labels.astype\(int\)"),
        (np.array(["cat", "dog"]), "They are names: give `class_names, labels = numpy.unique"),
    ],
)
def test_what_is_no_class_number_is_refused_with_what_to_do(labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        class_numbers("npz:x", labels)


def test_class_numbers_of_any_width_are_taken() -> None:
    for dtype in (np.uint8, np.int16, np.uint64):
        assert class_numbers("npz:x", np.array([3, 0, 3], dtype)).tolist() == [3, 0, 3]


def test_a_multi_label_file_is_refused(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (40, 5))
    np.savez(tmp_path / "tags.npz", images=np.zeros((40, 6, 5), np.uint8), labels=labels)
    with pytest.raises(DataError, match=r"tags.npz: labels is int64 \[40, 5\].*multi-label"):
        load_task(f"npz:{tmp_path}/tags.npz")
