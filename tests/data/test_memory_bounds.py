"""No small file makes munet take a large memory: sizes are checked before anything is read or decoded."""

from __future__ import annotations

import io
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from munet.data import npz, photos
from munet.data.room import Room
from munet.data.tasks import load_task
from munet.errors import DataError
from munet.serving.inputs import Inputs
from munet.threads import in_threads
from tests.data.test_photos import encoded


def write(path: Path, *, data: bytes | None = None, **arrays: np.ndarray) -> Path:
    """An npz file whose images are zeros, written piece by piece, or `data` whatever the header says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            head = io.BytesIO()
            fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
            np.lib.format.write_array_header_1_0(head, fields)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(head.getvalue())
                if name == "images" and data is not None:
                    member.write(data)
                elif name == "images":
                    left = array.nbytes
                    while left:
                        left -= member.write(bytes(min(left, 1 << 20)))
                else:
                    member.write(array.tobytes())
    return path


def zeros(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.broadcast_to(np.zeros((), dtype), shape)


LABELS = np.arange(100) % 2


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (zeros(100, 800, 800), LABELS, "does not fit a quarter of this machine's memory"),
        (zeros(100, 800, 80, dtype="f8"), LABELS, "images is float64"),
        (zeros(50_000_000), LABELS, r"images is uint8 \[50000000\]"),
        (zeros(99, 800, 800), LABELS, "99 images but 100 labels"),
        (zeros(100, 8, 8), zeros(50_000_000, dtype="i8"), "labels of .* does not fit"),
    ],
)
def test_what_headers_say_is_checked_before_data_are_read(
    images: np.ndarray, labels: np.ndarray, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "memory" in message:
        monkeypatch.setattr(npz, "host_memory", lambda: 4 * 63_000_000)
    path = write(tmp_path / "task.npz", images=images, labels=labels)
    assert path.stat().st_size < 500_000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            load_task(f"npz:{path}")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_images_are_held_about_once(tmp_path: Path) -> None:
    """However well they compress."""
    path = write(tmp_path / "task.npz", images=zeros(100, 400, 400, 3), labels=LABELS)
    tracemalloc.start()
    try:
        task = load_task(f"npz:{path}", max_image_size=200, cache_dir="off")
        assert task.info.num_train == 80
        assert tracemalloc.get_traced_memory()[1] < 2.2 * 48_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"1" * 99, b"1" * 101])
def test_a_header_that_the_data_do_not_fit_is_refused(data: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "task.npz", data=data, images=zeros(100, 1, 1), labels=LABELS)
    with pytest.raises(DataError, match="should have 100 bytes by its header"):
        load_task(f"npz:{path}")


def test_large_images_are_decoded_one_after_the_other() -> None:
    room, at_work, most = Room(100), 0, 0
    lock = threading.Lock()

    def decode(pixels: int) -> int:
        nonlocal at_work, most
        with room.room_for(pixels):
            with lock:
                at_work += pixels
                most = max(most, at_work)
            time.sleep(0.002)
            with lock:
                at_work -= pixels
        return pixels

    sizes = [60, 50, 40, 10, 1000, 90, 5] * 5
    assert list(in_threads(decode, sizes, 4)) == sizes
    assert most == 1000  # alone: what is larger than the room
    most = 0
    list(in_threads(decode, [60, 50, 40, 10] * 5, 4))
    assert 60 < most <= 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pixels of the images that room was asked for, one after the other."""
    found: list[int] = []

    class Asked(Room):
        @contextmanager
        def room_for(self, pixels: int) -> Iterator[None]:
            found.append(pixels)
            with super().room_for(pixels):
                yield

    monkeypatch.setattr("munet.data.photos.DECODING", Asked(1))
    return found


def test_decoding_a_folder_asks_for_room(tmp_path: Path, asked: list[int]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (7, 9), (number, ord(name), 0)).save(tmp_path / name / f"{number}.png")
    load_task(f"folder:{tmp_path}", cache_dir="off").split("train")
    assert asked == [63] * 20


@pytest.mark.parametrize("scheme", ["folder", "npz"])
def test_images_that_are_served_ask_for_room(scheme: str, asked: list[int]) -> None:
    """Sixteen threads that were sent a huge photo each decoded all of them at once."""
    image = Image.new("RGB", (70, 90))
    inputs = Inputs(scheme, (8, 8, 3), 16)
    inputs.read(image)
    inputs.read(encoded(image, "PNG"))
    assert asked == [6300] * 2


def test_a_photo_asks_for_the_room_that_it_is_decoded_in(asked: list[int]) -> None:
    image = Image.new("RGB", (800, 400))
    for is_progressive in (False, True):
        photos.decode(encoded(image, "JPEG", progressive=is_progressive), 32)
    assert asked == [100 * 50, 800 * 400]
