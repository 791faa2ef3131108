"""Copies of what lies below a place in a bucket, tried on fsspec's `memory://`."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import pytest

from munet.errors import DiskFullError, UserError
from munet.store import tree


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A place of its own in the memory that all tests share."""
    return f"memory://{tmp_path}/birds"


def put(url: str, **files: bytes) -> None:
    store, root = fsspec.core.url_to_fs(url)
    for name, data in files.items():
        store.pipe_file(f"{root}/{name.replace('__', '/')}", data)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_copied_and_brought_up_to_date(url: str, tmp_path: Path) -> None:
    put(url, a__1=b"one", a__2=b"two", b__deep__3=b"three")
    said: list[str] = []
    copy = tree.copy(url, tmp_path / "copy", said.append)
    assert copy.name == "birds"
    assert files_of(copy) == {"a/1": b"one", "a/2": b"two", "b/deep/3": b"three"}
    assert "fetching 3 of 3 objects" in said[0]
    assert tree.copy(url, tmp_path / "copy", said.append) == copy
    assert len(said) == 1  # nothing has changed
    store, root = fsspec.core.url_to_fs(url)
    store.rm_file(f"{root}/a/1")
    put(url, a__2=b"TWO", c=b"new")
    tree.copy(url, tmp_path / "copy", said.append)
    assert files_of(copy) == {"a/2": b"TWO", "b/deep/3": b"three", "c": b"new"}
    assert "fetching 2 of 3 objects" in said[1]


def test_what_is_missing_on_disk_is_fetched_again(url: str, tmp_path: Path) -> None:
    put(url, a=b"one", b=b"two")
    copy = tree.copy(url, tmp_path / "copy")
    (copy / "a").unlink()
    (copy / "b").write_bytes(b"cut"[:1])
    tree.copy(url, tmp_path / "copy")
    assert files_of(copy) == {"a": b"one", "b": b"two"}
    (tmp_path / "copy" / "index.json").write_text("{")
    shutil.rmtree(copy)
    assert files_of(tree.copy(url, tmp_path / "copy")) == {"a": b"one", "b": b"two"}


def test_one_object(url: str, tmp_path: Path) -> None:
    put(url, **{"birds.npz": b"bytes"})
    copy = tree.copy(f"{url}/birds.npz", tmp_path / "copy")
    assert copy.name == "birds.npz"
    assert copy.read_bytes() == b"bytes"


def test_nothing_there(url: str, tmp_path: Path) -> None:
    assert not tree.copy(url, tmp_path / "copy").exists()
    put(url, a=b"one")
    assert tree.names_beside(f"{url}-typo") == ["birds"]


def test_names_that_lead_elsewhere_are_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "objects", lambda _: {"a/../../../etc/passwd": tree.Entry(1, "1")})
    with pytest.raises(UserError, match="no path below it"):
        tree.copy(url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_size_is_asked_before_anything_is_fetched(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "objects", lambda _: {"a": tree.Entry(1 << 60, "1")})
    with pytest.raises(DiskFullError, match="MUNET_LOCAL_DIR"):
        tree.copy(url, tmp_path / "copy")
