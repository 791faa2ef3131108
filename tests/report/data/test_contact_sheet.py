from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from munet.data.splits import Split
from munet.data.tasks import Task, load_task
from munet.report.data import contact_sheet
from munet.report.data.contact_sheet import write_contact_sheet


def _task(tmp_path: Path, num_classes: int, shape: tuple[int, ...] = (8, 8, 3)) -> Task:
    # Each class has a grey level of its own, so that it can be found again in the sheet.
    labels = np.repeat(np.arange(num_classes), 10)
    images = np.empty((len(labels), *shape), np.uint8)
    images[:] = (labels * (255 // num_classes)).reshape(-1, *(1 for _ in shape))
    np.savez(tmp_path / "toy.npz", images=images, labels=labels)
    return load_task(f"npz:{tmp_path / 'toy.npz'}")


def test_a_png_with_a_row_for_each_class(tmp_path: Path) -> None:
    task = _task(tmp_path, 4)
    path = tmp_path / "sheets" / "group" / "toy.png"
    write_contact_sheet(task, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image)
    levels = [label * 63 for label in range(4)]
    for level in levels:
        # Eight training images in each row, of a cell each.
        assert (pixels == level).all(-1).sum() >= 8 * contact_sheet._CELL**2
    rows = [np.flatnonzero((pixels == level).all(-1).sum(1) >= 8 * contact_sheet._CELL).min() for level in levels]
    assert rows == sorted(rows)


def test_many_classes_are_sampled_evenly(tmp_path: Path) -> None:
    shown = contact_sheet._spread(1623, contact_sheet.MAX_CLASSES)
    assert len(set(shown.tolist())) == contact_sheet.MAX_CLASSES
    assert shown[0] == 0
    assert np.ptp(np.diff(shown)) <= 1
    assert contact_sheet._spread(3, 32).tolist() == [0, 1, 2]
    sheet = contact_sheet.contact_sheet(_task(tmp_path, 60))
    assert sheet.width > 1000
    assert sheet.height < 1000


@pytest.mark.parametrize("shape", [(105, 105), (8, 20, 3), (200, 3), (1, 1)])
def test_every_shape_fits_its_cell(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = _task(tmp_path, 3, shape).split("train").images[0]
    assert contact_sheet.thumbnail(image).size == (contact_sheet._CELL, contact_sheet._CELL)


def test_long_names_are_cut_and_classes_without_images_are_shown(tmp_path: Path) -> None:
    font = contact_sheet._font(13)
    text = contact_sheet._fit("a class with\na very long name " * 10, font, 100)
    assert text.endswith("…")
    assert font.getlength(text) <= 100
    task = _task(tmp_path, 3)
    train = task.split("train")
    absent = train.labels != 1
    empty = Split(train.images[absent], train.labels[absent])
    task._splits = {"train": empty, "validation": empty, "test": empty}
    assert contact_sheet.contact_sheet(task).height == contact_sheet.contact_sheet(_task(tmp_path, 3)).height
