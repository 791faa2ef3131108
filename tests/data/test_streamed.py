"""A streamed set reads like the array that it stands for, and is never held as a whole."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.data import photos, streamed
from munet.data.open_settings import OpenSettings, share_of
from munet.data.splits import SPLITS, Split, SplitName, content_order
from munet.data.streamed import StreamedImages
from munet.data.tasks import Task, load_task, open_task
from munet.errors import DataError
from munet.training.batches.decode_ahead import Feed, host_bytes
from tests.data.folder.test_folder import fill, image

RNG = np.random.default_rng(0)


class Source:
    """Records that are decoded on demand; counts the decoded images that are alive."""

    def __init__(self, count: int = 50, shape: tuple[int, int, int] = (4, 5, 3)):
        self.array = RNG.integers(0, 256, (count, *shape), np.uint8)
        self.alive = self.most_alive = self.num_read = 0
        self._lock = threading.RLock()

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        images = [self.array[number].copy() for number in numbers]
        with self._lock:
            for one in images:
                weakref.finalize(one, self._end)
            self.num_read += len(images)
            self.alive += len(images)
            self.most_alive = max(self.most_alive, self.alive)
        return images

    def _end(self) -> None:
        with self._lock:
            self.alive -= 1

    def images(self) -> StreamedImages:
        height, width, channels = self.array.shape[1:]
        return StreamedImages(self.read, np.arange(len(self.array)), (height, width, channels))


def test_it_reads_like_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    monkeypatch.setattr(streamed, "SLICE_BYTES", 7 * 60)
    images, array = source.images(), source.array
    assert (images.shape, images.nbytes, len(images), images.slice_size) == (array.shape, array.nbytes, len(array), 7)
    for key in (
        3,
        -1,
        np.int64(4),
        slice(None),
        slice(5, 31),
        slice(40, 90),
        slice(3, 3),
        np.array([9, 2, 9]),
        array[:, 0, 0, 0] > 99,
    ):
        np.testing.assert_array_equal(images[key], array[key])
    np.testing.assert_array_equal(np.stack(list(images)), array)
    np.testing.assert_array_equal(images.select(np.array([7, 3]))[:], array[[7, 3]])
    np.testing.assert_array_equal(content_order(images, 3), content_order(array, 3))
    np.testing.assert_array_equal(Split(images, np.zeros(50, np.int32)).decoded, array)
    np.testing.assert_array_equal(StreamedImages.of_array(array)[4:9], array[4:9])
    with pytest.raises(IndexError):
        images[50]


def test_channels_are_those_of_the_set() -> None:
    grey, colour = RNG.integers(0, 256, (2, 3, 3, 1), np.uint8), RNG.integers(0, 256, (2, 3, 3, 3), np.uint8)
    among_colours = StreamedImages(lambda n: [grey[i] for i in n], np.arange(2), (3, 3, 3))
    np.testing.assert_array_equal(among_colours[:], np.repeat(grey, 3, axis=3))
    stored_as_colour = StreamedImages(lambda n: [colour[i] for i in n], np.arange(2), (3, 3, 1))
    np.testing.assert_array_equal(stored_as_colour[:], colour[..., :1])


def feed(source: Source, groups: Sequence[np.ndarray], **options: Any) -> Feed:
    return Feed(source.images(), groups, **{"request_size": len(groups[0]), "ahead": 2, "num_threads": 3, **options})


def taken(feed: Feed, groups: Sequence[np.ndarray], source: Source) -> list[np.ndarray]:
    rooms = []
    for group in groups:
        room = np.zeros((len(group), *source.array.shape[1:]), np.uint8)
        feed.take(room)
        rooms.append(room)
    return rooms


@pytest.mark.parametrize("part", [1, 4, 1000])
def test_a_feed_gives_the_groups_in_order(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "SLICE_BYTES", part * 60)
    source = Source()
    groups = [RNG.integers(0, 50, 10) for _ in range(7)] + [np.array([5, 5, 1])]
    with feed(source, groups) as opened:
        for group, room in zip(groups, taken(opened, groups, source), strict=True):
            np.testing.assert_array_equal(room, source.array[group])
        assert opened.waited > 0


def prefetching() -> int:
    return sum(thread.name.startswith("grain-prefetch") for thread in threading.enumerate())


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_what_a_feed_holds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the consumer, a fast decoder stops: the set is twenty times what may be alive."""
    monkeypatch.setattr(streamed, "SLICE_BYTES", 2 * 60)
    source = Source(count=2000)
    groups = list(np.arange(2000).reshape(-1, 10))
    bound = host_bytes(source.images(), request_size=10, requests_in_use=1, ahead=2, num_threads=3) // 60
    assert bound < 2000 / 20
    with feed(source, groups) as opened:
        for number in range(20):
            taken(opened, groups[number : number + 1], source)
            time.sleep(0.005)
            assert source.num_read <= (number + 1) * 10 + bound
    assert source.most_alive <= bound


def test_threads_end_with_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "SLICE_BYTES", 60)
    source = Source(count=500)
    groups = list(np.arange(500).reshape(-1, 10))
    assert soon(lambda: not prefetching())
    with pytest.raises(KeyboardInterrupt), feed(source, groups) as opened:  # noqa: PT012 - what Ctrl-C does
        taken(opened, groups[:2], source)
        assert prefetching()
        raise KeyboardInterrupt
    assert soon(lambda: not prefetching())


def test_what_goes_wrong_in_a_thread_is_told_where_images_are_taken() -> None:
    def read(numbers: Sequence[int]) -> list[np.ndarray]:
        raise DataError(f"{numbers[0]} changed while it was read.")

    images = StreamedImages(read, np.arange(4), (2, 2, 3))
    with (
        Feed(images, [np.array([3, 1])], request_size=2, ahead=1) as opened,
        pytest.raises(DataError, match="3 changed"),
    ):
        opened.take(np.zeros((2, 2, 2, 3), np.uint8))


def test_a_share_of_memory() -> None:
    assert share_of(1000, 0.25) == 250
    assert share_of(None, 0.25) == float("inf")
    assert share_of(None, 0.0) == share_of(1000, 0.0) == 0


def splits(task: Task) -> dict[SplitName, Split]:
    with task.testing():
        return {name: task.split(name) for name in SPLITS}


def assert_streams_the_same(uri: str, **options: Any) -> Task:
    """A task, streamed, is what it is in memory: info, notes, pixels, labels; and again from what the cache keeps."""
    held = open_task(uri, OpenSettings(**options))
    for _ in range(2):
        task = open_task(uri, OpenSettings(**options, max_resident=0))
        assert (task.info, task.notes, task.image_shape) == (held.info, held.notes, held.image_shape)
        for name, split in splits(task).items():
            other = splits(held)[name]
            assert isinstance(split.images, StreamedImages)
            assert isinstance(other.images, np.ndarray)
            assert split.images.shape == other.images.shape
            np.testing.assert_array_equal(split.images[:], other.images)
            np.testing.assert_array_equal(split.labels, other.labels)
            assert split.labels.dtype == np.int32
    return task


@pytest.mark.parametrize("cache", ["off", "kept"])
def test_a_folder_streams_the_same(tmp_path: Path, cache: str) -> None:
    fill(tmp_path / "birds", {"a": 20, "b": 20})
    image(1, (9, 7)).save(tmp_path / "birds/a/other.jpg")  # of another size: all are squashed
    image(2, (300, 200)).convert("L").save(tmp_path / "birds/b/grey.jpg")  # larger than the canvas
    (tmp_path / "birds/b/equal.png").write_bytes((tmp_path / "birds/b/1.png").read_bytes())
    (tmp_path / "birds/b/bad.jpg").write_bytes((tmp_path / "birds/b/grey.jpg").read_bytes()[:-900])
    (tmp_path / "birds/b/worse.png").write_bytes(b"no image")
    place = "off" if cache == "off" else str(tmp_path / "cache")
    task = assert_streams_the_same(f"folder:{tmp_path}/birds", cache_dir=place, max_image_size=32, max_bad_images=0.1)
    assert task.image_shape == (64, 64, 3)
    assert "2 of 45 files cannot be read" in " ".join(task.notes)
    with pytest.raises(DataError, match=r"2 of 45 files \(4\.4%\) cannot be read as images"):
        open_task(task.uri, OpenSettings(cache_dir=place, max_image_size=32, max_resident=0))


def test_a_grey_folder_streams_the_same(tmp_path: Path) -> None:
    """Grey pixels in colour files: one channel, as in memory."""
    fill(tmp_path, {"a": 10, "b": 10})
    for path in tmp_path.glob("*/*.png"):
        image(int(path.stem) + 50 * (path.parent.name == "b")).convert("L").convert("RGB").save(path)
    assert assert_streams_the_same(f"folder:{tmp_path}", cache_dir="off").image_shape == (6, 5, 1)


def test_a_folder_is_streamed_above_the_limit(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 20, "b": 20})
    bytes_of_training = 32 * 6 * 5 * 3
    for limit, is_streamed in ((bytes_of_training, False), (bytes_of_training - 1, True)):
        task = open_task(f"folder:{tmp_path}", OpenSettings(cache_dir="off", max_resident=limit))
        assert isinstance(task.split("train").images, StreamedImages) == is_streamed


def test_a_streamed_folder_decodes_nothing_again_when_it_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "birds", {"a": 10, "b": 10})
    settings = OpenSettings(cache_dir=str(tmp_path / "cache"), max_resident=0)
    open_task(f"folder:{tmp_path}/birds", settings)
    decoded: list[int] = []
    really_decode = photos.decode

    def counted(*arguments: Any) -> np.ndarray:
        decoded.append(1)
        return really_decode(*arguments)

    monkeypatch.setattr(photos, "decode", counted)
    task = open_task(f"folder:{tmp_path}/birds", settings)
    assert not decoded
    task.split("train").images[2:5]
    assert len(decoded) == 3
    assert not list((tmp_path / "cache").rglob("images.npy"))


def test_a_file_that_changes_later_is_seen(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 10})
    task = open_task(f"folder:{tmp_path}", OpenSettings(cache_dir="off", max_resident=0))
    for path in tmp_path.glob("*/*.png"):
        image(1000).save(path)
    with pytest.raises(DataError, match="changed while it was read"):
        task.split("train").images[0]


def test_arrays_stay_in_memory(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=RNG.integers(0, 256, (60, 4, 4), np.uint8), labels=np.arange(60) % 2)
    task = open_task(f"npz:{tmp_path}/x.npz", OpenSettings(cache_dir="off", max_resident=0))
    assert isinstance(task.split("train").images, np.ndarray)
    assert isinstance(load_task(f"npz:{tmp_path}/x.npz").split("train").images, np.ndarray)
