from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from munet.data import cache


class Builder:
    """Counts how often arrays are built."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"images": np.arange(12, dtype=np.uint8).reshape(3, 4), "names": np.array(["a", "bc", "ä"])}


def _check(arrays: cache.NamedArrays) -> None:
    expected = Builder()()
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_built_once(tmp_path: Path) -> None:
    build = Builder()
    for _ in range(2):
        _check(cache.cached_arrays(str(tmp_path), "key", build))
    assert build.calls == 1
    _check(cache.cached_arrays(str(tmp_path), "other", build))
    assert build.calls == 2
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["key", "other"]


def test_large_arrays_cannot_be_changed_by_who_built_or_who_reads_them(tmp_path: Path) -> None:
    def build(allocate: cache.Allocate) -> cache.NamedArrays:
        images = allocate("images", (3, 4))
        images[:] = 1
        return {"images": images}

    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            cache.cached_large_arrays(str(tmp_path), "key", build)["images"][0] = 2


def test_off_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path))
    build = Builder()
    for _ in range(2):
        _check(cache.cached_arrays("off", "key", build))
    assert build.calls == 2
    assert not list(tmp_path.iterdir())


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path))
    assert cache.cache_folder("") == tmp_path
    assert cache.cache_folder("/somewhere") == Path("/somewhere")
    monkeypatch.delenv("MUNET_CACHE_DIR")
    assert cache.cache_folder("") == Path("~/.cache/munet").expanduser()


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "list"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    build = Builder()
    cache.cached_arrays(str(tmp_path), "key", build)
    file, manifest = tmp_path / "data" / "key" / "images.npy", tmp_path / "data" / "key" / "manifest.json"
    data = file.read_bytes()
    if damage == "flip":
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "truncate":
        file.write_bytes(data[:-3])
    elif damage == "remove":
        file.unlink()
    else:
        manifest.write_text("[]" if damage == "list" else "{")
    with caplog.at_level(logging.CRITICAL):
        _check(cache.cached_arrays(str(tmp_path), "key", build))
        _check(cache.cached_arrays(str(tmp_path), "key", build))
    assert build.calls == 2


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    place = tmp_path / "data" / "key"
    build = Builder()
    cache.cached_arrays(str(tmp_path), "key", build)
    np.save(place / "images.npy", np.array([{}], object), allow_pickle=True)
    digest = hashlib.sha256((place / "images.npy").read_bytes()).hexdigest()
    (place / "manifest.json").write_text(f'{{"images": "{digest}"}}')
    _check(cache.cached_arrays(str(tmp_path), "key", build))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    build = Builder()
    _check(cache.cached_arrays(str(tmp_path), "key", build))
    assert build.calls == 1


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "data" / ".tmp-old", tmp_path / "data" / ".tmp-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    past = time.time() - 100_000
    os.utime(old, (past, past))
    cache.cached_arrays(str(tmp_path), "key", Builder())
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".tmp-new", "key"]


def test_an_entry_that_is_being_filled_is_no_leftover(tmp_path: Path) -> None:
    """Its folder is as old as the fill is long: another process with the same cache took it for a killed one's."""
    begun, slow, killed = (tmp_path / "data" / name for name in (".tmp-begun", ".tmp-slow", ".tmp-killed"))
    for folder, file_age, age in ((begun, 5, 100_000), (slow, 7_200, 7_200), (killed, 100_000, 100_000)):
        folder.mkdir(parents=True)
        (folder / "images.npy").touch()
        for path, seconds in ((folder / "images.npy", file_age), (folder, age)):
            os.utime(path, (time.time() - seconds,) * 2)
    cache.cached_arrays(str(tmp_path), "key", Builder())
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".tmp-begun", ".tmp-slow", "key"]


@pytest.mark.parametrize("is_mapped", [False, True])
def test_an_entry_that_comes_while_it_is_looked_for_is_kept(
    is_mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, really_exists, asked = tmp_path / "data" / "key", Path.exists, []

    def exists(path: Path) -> bool:
        asked.append(path)
        if asked == [place]:
            cache._write(place, Builder()())  # another process does
        return really_exists(path)

    monkeypatch.setattr(Path, "exists", exists)
    found = cache._read(place, is_mapped=is_mapped)
    assert found is not None
    _check(found)
    assert (place / "manifest.json").is_file()


def test_keys_differ_by_what_determines_the_content() -> None:
    assert cache.content_key("a", 1) == cache.content_key("a", 1)
    assert len({cache.content_key("a", 1), cache.content_key("a", 2), cache.content_key("a", "1")}) == 3


@pytest.fixture
def shared_umask() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_a_cache_is_shared_as_the_umask_says(tmp_path: Path, shared_umask: None) -> None:
    """Entries were for their maker alone, and everybody else built them again at every start."""
    cache.cached_arrays(str(tmp_path), "key", Builder())
    cache.cached_large_arrays(str(tmp_path), "large", lambda allocate: {"images": allocate("images", (3, 4))})
    cache.replace_file(tmp_path / "folders" / "index.json", b"{}")
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path


def test_an_entry_that_may_not_be_read_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache.cached_arrays(str(tmp_path), "key", Builder())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "_read_array", refuse)
    _check(cache.cached_arrays(str(tmp_path), "key", build := Builder()))
    assert build.calls == 1
    assert "chmod -R a+rX" in caplog.text
    assert "damaged" not in caplog.text
    monkeypatch.undo()
    cache.cached_arrays(str(tmp_path), "key", build)
    assert build.calls == 1


def test_a_file_that_cannot_be_replaced_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with pytest.raises(OSError, match="directory"):
        cache.replace_file(tmp_path / "place", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
