from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from munet.data.splits import Source, Split, Splits
from munet.data.tasks import Task, load_task
from munet.report.data.leaks import Leaks, check_leaks
from munet.types import TaskInfo


def _task(**parts: list[tuple[int, int]]) -> Task:
    """A task whose images are told apart by their one pixel."""
    splits = {
        name: Split(
            np.array([pixel for pixel, _ in pairs], np.uint8).reshape(-1, 1, 1, 1),
            np.array([label for _, label in pairs], np.int32),
        )
        for name, pairs in parts.items()
    }
    info = TaskInfo("t", "builtin:t", "", ("a", "b"), *(len(splits[name]) for name in ("train", "validation", "test")))
    return Task(info, Source(("a", "b"), {}, "", lambda: cast(Splits, splits)))


def test_equal_images_are_counted_for_each_pair_of_splits() -> None:
    task = _task(
        train=[(1, 0), (2, 0), (2, 0), (3, 1)],
        validation=[(2, 0), (4, 1), (4, 1)],
        test=[(1, 0), (1, 1), (4, 1), (9, 0), (2, 0)],
    )
    assert check_leaks(task) == Leaks(
        validation_in_train=1, test_in_train=3, test_in_validation=2, test_seen=4, repeated=3, contradictory=1
    )


def test_without_equal_images_all_is_zero() -> None:
    task = _task(train=[(1, 0), (2, 1)], validation=[(3, 0)], test=[(4, 1)])
    assert check_leaks(task) == Leaks(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("name", "expected"), [("bangla", 7), ("devanagari", 14), ("telugu", 3)])
def test_the_known_counts_of_real_sets(name: str, expected: int, shared_tfds: Path, tmp_path: Path) -> None:
    task = load_task(f"tfds:cmaterdb/{name}", data_dir=str(shared_tfds), cache_dir=str(tmp_path))
    assert check_leaks(task).test_seen == expected
