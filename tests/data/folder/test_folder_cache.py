"""What is kept of a folder between two starts, and what is noticed to have changed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from munet.data import photos
from munet.data.folder.index import index_files
from munet.errors import DataError
from tests.data.folder.test_folder import fill, image, load, pixels_of


def test_the_second_start_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})
    (tmp_path / "x" / "a" / "bad.png").write_bytes(b"hello")
    os.utime(tmp_path / "x" / "a" / "bad.png", (1e9, 1e9))
    options = {"cache_dir": str(tmp_path / "cache"), "max_bad_images": 0.1}
    first = load(tmp_path / "x", **options)
    read: list[Path] = []
    really_read = photos.read_bytes

    def watched(path: Path) -> bytes:
        read.append(path)
        return really_read(path)

    monkeypatch.setattr("munet.data.folder.index.read_bytes", watched)
    second = load(tmp_path / "x", **options)
    assert not read
    assert (second.info, second.notes) == (first.info, first.notes)
    assert pixels_of(second) == pixels_of(first)
    touched = tmp_path / "x" / "a" / "0.png"
    os.utime(touched, (1.1e9, 1.1e9))
    assert load(tmp_path / "x", **options).info == first.info
    assert read == [touched]  # hashed again, not decoded
    read.clear()
    (tmp_path / "x").rename(tmp_path / "y")
    moved = load(tmp_path / "y", **options)
    assert moved.info.fingerprint == first.info.fingerprint
    assert len(read) == 21  # once each: the index is of another place, the images are not


def test_files_from_the_future_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were read at every start until their time had come."""
    fill(tmp_path / "x", {"a": 10, "b": 10})
    ahead = tmp_path / "x" / "a" / "0.png"
    os.utime(ahead, (time.time() + 1e8,) * 2)
    monkeypatch.setattr("munet.data.folder.index._RECENT_NS", 0)  # the time of the setting is past
    options = {"cache_dir": str(tmp_path / "cache")}
    first = load(tmp_path / "x", **options)
    with mock.patch("munet.data.folder.index.read_bytes", wraps=photos.read_bytes) as read:
        assert load(tmp_path / "x", **options).info == first.info
        assert not read.called
        set_to = ahead.stat().st_mtime_ns
        image(999).save(ahead)
        os.utime(ahead, ns=(set_to, set_to))
        assert load(tmp_path / "x", **options).info.fingerprint != first.info.fingerprint


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})
    options = {"cache_dir": str(tmp_path / "cache")}
    first = load(tmp_path / "x", **options)
    image(999).save(tmp_path / "x" / "a" / "0.png")
    second = load(tmp_path / "x", **options)
    assert second.info.fingerprint != first.info.fingerprint


def test_a_file_changed_twice_within_a_tick_is_seen(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})
    options = {"cache_dir": str(tmp_path / "cache")}
    path, now = tmp_path / "x" / "a" / "0.png", time.time()
    fingerprints = set()
    for seed in (998, 999):
        image(seed).save(path)
        path.write_bytes(path.read_bytes().ljust(1000, b"\0"))  # of one size
        os.utime(path, (now, now))  # of one time, and too young to be trusted
        fingerprints.add(load(tmp_path / "x", **options).info.fingerprint)
    assert len(fingerprints) == 2


def test_files_that_change_places_are_seen(tmp_path: Path) -> None:
    """Of one size and one time, as files out of an archive are: the labels of the two would be wrong."""
    fill(tmp_path / "x", {"a": 10, "b": 10})
    for number, path in enumerate(sorted((tmp_path / "x").rglob("*.png"))):
        image(number).save(path.with_suffix(".bmp"))
        path.unlink()
        os.utime(path.with_suffix(".bmp"), (1e9, 1e9))
    options = {"cache_dir": str(tmp_path / "cache")}
    first = load(tmp_path / "x", **options)
    left, right = tmp_path / "x" / "a" / "0.bmp", tmp_path / "x" / "b" / "0.bmp"
    left.rename(tmp_path / "aside")
    right.rename(left)
    (tmp_path / "aside").rename(right)
    second = load(tmp_path / "x", **options)
    assert second.info.fingerprint == load(tmp_path / "x").info.fingerprint != first.info.fingerprint


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a/0.png": [1]}', '{"a/0.png": [1, 2, 3, {"x": 3}]}'])
def test_a_damaged_index_is_made_anew(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})
    options = {"cache_dir": str(tmp_path / "cache")}
    first = load(tmp_path / "x", **options)
    (index,) = (tmp_path / "cache" / "folders").iterdir()
    index.write_text(text)
    with caplog.at_level("CRITICAL"):
        assert load(tmp_path / "x", **options).info == first.info


def test_a_flipped_bit_in_the_index_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A width, say: the canvas of the task, and so every result, would be another for ever."""
    fill(tmp_path / "x", {"a": 10, "b": 10})
    options = {"cache_dir": str(tmp_path / "cache")}
    first = load(tmp_path / "x", **options)
    (index,) = (tmp_path / "cache" / "folders").iterdir()
    sound = index.read_bytes()
    generator = random.Random(0)
    width = 8 * (sound.index(b'"width": ') + 9)
    for flip in [*range(width, width + 8), *generator.choices(range(8 * len(sound)), k=60)]:
        altered = bytearray(sound)
        altered[flip // 8] ^= 1 << flip % 8
        index.write_bytes(altered)
        caplog.clear()
        assert load(tmp_path / "x", **options).info == first.info, flip
        assert "is damaged and made anew" in caplog.text
        assert index.read_bytes() == sound


def test_a_full_disk_leaves_no_half_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        load(tmp_path / "x", cache_dir=str(tmp_path / "cache"))
    assert "could not be kept" in caplog.text
    assert not list((tmp_path / "cache" / "folders").iterdir())
    old = tmp_path / "cache" / "folders" / ".tmp-old"
    old.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    load(tmp_path / "x", cache_dir=str(tmp_path / "cache"))
    assert not old.exists(), "what a killed process left goes, too"


def test_an_emptied_cache_does_not_matter(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"a": 10, "b": 10})
    task = load(tmp_path / "x", cache_dir=str(tmp_path / "cache"))
    before = pixels_of(task)
    task.release()
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    assert pixels_of(task) == before


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"a": 10, "b": 10})
    really_index = index_files

    def slow(*arguments: Any) -> Any:
        facts = really_index(*arguments)
        image(77).save(tmp_path / "a" / "0.png")
        return facts

    monkeypatch.setattr("munet.data.folder.index.index_files", slow)
    with pytest.raises(DataError, match=r"a/0\.png changed while it was read"):
        load(tmp_path)
