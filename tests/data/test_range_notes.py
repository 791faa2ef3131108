from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from munet.data.open_settings import OpenSettings
from munet.data.range_notes import notes_on_range
from munet.data.tasks import Task, load_task, open_task
from munet.errors import DataError


def write(folder: Path, dtype: type, high: int) -> None:
    random = np.random.default_rng(0)
    for number in range(60):
        place = folder / "ab"[number % 2] / f"{number}.tif"
        place.parent.mkdir(parents=True, exist_ok=True)
        values = random.integers(0, high, (8, 8)) // (1 + number % 2)
        values[0, 0] = high
        Image.fromarray(values.astype(dtype)).save(place)


def opened(folder: Path, option: str = "") -> Task:
    return load_task(f"folder:{folder}{option}", cache_dir="off")


@pytest.mark.parametrize(("high", "bits"), [(4095, 12), (1023, 10)])
def test_twelve_bits_in_sixteen_are_noted_with_what_to_do(high: int, bits: int, tmp_path: Path) -> None:
    write(tmp_path / "x", np.uint16, high)
    (note,) = notes_on_range(opened(tmp_path / "x"))
    assert "of the range from black to white" in note
    assert f"folder:{tmp_path / 'x'}?range=0,{high} for {bits} of 16 bits" in note
    task = opened(tmp_path / "x", f"?range=0,{high}")
    assert task.info.name == "x"
    assert task.split("train").decoded.max() == 255
    assert not notes_on_range(task)
    assert task.info.fingerprint != opened(tmp_path / "x").info.fingerprint


def test_small_numbers_in_an_array_are_noted(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 17, (60, 8, 8)).astype(np.uint8)  # as scikit-learn's digits
    images[:, 0, 0] = 16
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(60) % 2)
    (note,) = notes_on_range(load_task(f"npz:{tmp_path}/a.npz"))
    assert "above 16 of 255" in note
    assert "(images * (255 / 16))" in note
    assert not notes_on_range(load_task("builtin:digits"))


def test_wide_integers_need_a_range(tmp_path: Path) -> None:
    """0 to 255 in 32 bits was black: 17% test accuracy, without a word."""
    write(tmp_path / "x", np.int32, 255)
    with pytest.raises(DataError, match=r"32-bit pixels, whose range is unknown.*\?range=LOW,HIGH"):
        opened(tmp_path / "x")
    assert opened(tmp_path / "x", "?range=0,255").split("train").decoded.max() == 255


def test_streamed_files_have_the_range_too(tmp_path: Path) -> None:
    write(tmp_path / "x", np.uint16, 4095)
    task = open_task(f"folder:{tmp_path / 'x'}?range=0,4095", OpenSettings(cache_dir="off", max_resident=0))
    assert task.split("train").decoded.max() == 255
    assert not notes_on_range(task)


@pytest.mark.parametrize("text", ["", "5", "0,", "9,3", "0,nan", "a,b", "0,1,2"])
def test_a_range_is_two_numbers(text: str, tmp_path: Path) -> None:
    write(tmp_path / "x", np.uint8, 255)
    with pytest.raises(DataError, match=r"range=0,4095|name=value"):
        opened(tmp_path / "x", f"?range={text}")


def test_a_folder_may_be_called_like_an_option(tmp_path: Path) -> None:
    write(tmp_path / "x?range=0,1", np.uint8, 255)
    assert opened(tmp_path / "x?range=0,1").split("train").decoded.max() == 255
    write(tmp_path / "y?z", np.uint8, 255)
    assert opened(tmp_path / "y?z", "?range=0,510").split("train").decoded.max() == 128
