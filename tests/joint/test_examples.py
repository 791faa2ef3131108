"""Several tasks become one set: sizes, channels and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from munet.data.open_settings import OpenSettings
from munet.data.tasks import load_tasks
from munet.methods.pretraining.examples import merge
from tests.joint.tiny import write_task


def test_images_of_one_size_stay_as_they_are_and_classes_are_numbered_through(tmp_path: Path) -> None:
    uris = [write_task(tmp_path / f"{name}.npz") for name in ("first", "second")]
    tasks = load_tasks(uris, OpenSettings(cache_dir="off"))
    train = [task.split("train") for task in tasks]
    merged = merge(tasks)
    assert merged.num_classes == 4
    assert merged.offsets == {"first": 0, "second": 2}
    np.testing.assert_array_equal(merged.images, np.concatenate([split.images for split in train]))
    np.testing.assert_array_equal(merged.labels, np.concatenate([train[0].labels, train[1].labels + 2]))
    np.testing.assert_array_equal(merged.validation["second"].labels, tasks[1].split("validation").labels + 2)


def test_sizes_and_channels_are_brought_together(tmp_path: Path) -> None:
    uris = [write_task(tmp_path / "small.npz"), write_task(tmp_path / "large.npz", size=12, channels=3)]
    tasks = load_tasks(uris, OpenSettings(cache_dir="off"))
    small, large = (task.split("train").decoded for task in tasks)
    merged = merge(tasks)
    assert merged.images.shape == (len(small) + len(large), 12, 12, 3)
    assert merged.images.dtype == np.uint8
    np.testing.assert_array_equal(merged.images[len(small) :], large)
    brought = merged.images[: len(small)]
    assert (brought[..., 0] == brought[..., 2]).all()  # grey became three equal channels
    # The same picture in more pixels: each half keeps its brightness.
    np.testing.assert_allclose(brought[:, :6].mean((1, 2, 3)), small[:, :4].mean((1, 2, 3)), atol=12)
    assert merged.validation["small"].images.shape[1:] == (8, 8, 1)  # measured in its own size
