"""Files appear whole or not at all, and a full disk leaves nothing behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from munet.errors import DiskFullError
from munet.store.folders import Folder, is_remote, open_folder
from munet.store.local import make_directory


@pytest.fixture(params=["local", "file URL", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of each kind, not made yet."""
    addresses = {
        "local": str(tmp_path / "a" / "b"),
        "file URL": f"file://{tmp_path}/a/b",
        "memory": f"memory://{tmp_path}/a/b",
    }
    return open_folder(addresses[request.param])


def test_write_read_list_delete(place: Folder) -> None:
    assert place.names() == set()
    place.create("one", b"1")
    place.create("two", b"")
    place.replace("two", b"22")
    assert place.names() == {"one", "two"}
    assert place.exists("one")
    assert not place.exists("three")
    assert place.read("two") == b"22"
    with place.open("two") as file:
        assert file.seek(0, os.SEEK_END) == 2
        file.seek(1)
        assert file.read() == b"2"
    place.delete(["one", "three"])
    assert place.names() == {"two"}


def test_what_is_not_there(place: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        place.read("one")
    with pytest.raises(FileNotFoundError), place.open("one"):
        pass
    place.delete(["one"])
    place.remove_leftovers()


def test_a_file_is_written_once(place: Folder) -> None:
    place.create("one", b"1")
    place.create("one", b"1")
    with pytest.raises(FileExistsError):
        place.create("one", b"2")
    assert place.read("one") == b"1"


def test_leftovers_are_neither_listed_nor_kept(tmp_path: Path) -> None:
    place = open_folder(tmp_path)
    place.create("one", b"1")
    (tmp_path / ".tmp-99-two").write_bytes(b"half")
    assert place.names() == {"one"}
    place.remove_leftovers()
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_the_file_is_on_the_disk_before_its_name_and_the_name_before_we_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def watch(name: str) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def call(first: Any, *rest: Any) -> Any:
            path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
            calls.append((name, path.name.split("-")[0]))
            return real(first, *rest)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fsync", "link"):
        watch(name)
    open_folder(tmp_path).create("one", b"1")
    expected = [("write", ".tmp"), ("fsync", ".tmp"), ("link", ".tmp"), ("fsync", tmp_path.name.split("-")[0])]
    assert calls == expected


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    open_folder(tmp_path).create("one", b"0123456789")
    assert (tmp_path / "one").read_bytes() == b"0123456789"


@pytest.mark.parametrize("name", ["open", "write", "fsync", "link", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "old").write_bytes(b"old")
    place = open_folder(tmp_path / "new" if name == "mkdir" else tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, full)
        with pytest.raises(DiskFullError, match="one could not be written"):
            place.create("one", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_other_errors_are_not_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        open_folder(tmp_path / "file").create("one", b"1")


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_folder(tmp_path).create("one", b"1")
    assert not list(tmp_path.iterdir())


def test_make_directory_makes_parents_once(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b" / "c")
    make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize(
    ("path", "expected"), [("gs://b/r", True), ("memory://r", True), ("file:///r", False), ("/r", False), ("r", False)]
)
def test_which_paths_are_remote(path: str, expected: bool) -> None:
    assert is_remote(path) is expected
