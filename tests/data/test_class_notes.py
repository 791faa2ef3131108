"""Classes with too few images in a split are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from munet.data.class_notes import class_names_text, notes_on_classes
from munet.data.splits import Source, Split
from munet.data.tasks import Task, load_task
from munet.types import TaskInfo


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
        " 1 of 4 classes (3) has one training image, where others have up to 16.",
        " 1 of 4 classes (3) has no validation images",
    ]


def test_long_lists_of_names_are_cut() -> None:
    assert class_names_text(list("abc")) == "a, b, c"
    assert class_names_text([str(index) for index in range(1_623)]) == "0, 1, 2, 3, 4, 5 and 1,617 more"
