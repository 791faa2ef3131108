"""Labels that are no class numbers are refused with what to do; classes without images are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data.labels import class_numbers
from munet.data.splits import Source, Split
from munet.data.tasks import Task, load_task
from munet.errors import DataError
from munet.report.data.describe import notes_on_classes
from munet.types import TaskInfo


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


def task_of(train: list[int], validation: list[int], test: list[int]) -> Task:
    """A task with such labels and black images of five classes."""
    splits = {
        name: Split(np.zeros((len(labels), 4, 4, 1), np.uint8), np.array(labels, np.int32))
        for name, labels in (("train", train), ("validation", validation), ("test", test))
    }
    info = TaskInfo("odd", "x:odd", "0", tuple("abcde"), len(train), len(validation), len(test))
    return Task(info, Source(info.class_names, {}, "0", lambda: splits))  # type: ignore[arg-type, return-value]


def test_classes_without_images_are_named() -> None:
    task = task_of([0, 0, 1, 3], [0, 1], [0, 2, 2, 3])
    assert notes_on_classes(task) == [
        "odd: 2 of 5 classes (c, e) have no training images: no model can learn them.",
        "odd: 1 of 5 classes (d) has no validation images: they choose no model.",
    ]
    assert task.num_tested == 0
    assert notes_on_classes(task, with_test=True)[2:] == [
        "odd: 1 of 5 classes (c) has test images (2) all the same.",
        "odd: 1 of 5 classes (b) has no test images: test accuracy leaves them out.",
    ]
    assert notes_on_classes(task_of([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]), with_test=True) == []


def test_a_class_of_one_image_trains_only(tmp_path: Path) -> None:
    labels = np.array([*[0] * 20, *[1] * 20, 3])  # 2 is a gap
    images = np.random.default_rng(0).integers(0, 256, (41, 4, 4), np.uint8)
    np.savez(tmp_path / "gap.npz", images=images, labels=labels)
    task = load_task(f"npz:{tmp_path}/gap.npz")
    assert np.bincount(task.split("train").labels).tolist() == [16, 16, 0, 1]
    assert [note.split(":")[1] for note in notes_on_classes(task)] == [
        " 1 of 4 classes (2) has no training images",
        " 1 of 4 classes (3) has no validation images",
    ]
