"""A directory that is there wholly or not at all, however many processes want to write it at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from munet.errors import WorkdirError
from munet.store.new_directory import new_directory


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_second_process_is_refused_and_the_first_ones_is_whole(tmp_path: Path) -> None:
    """It would have emptied the first one's place, which was then renamed without half of its files."""
    to = str(tmp_path / "new")
    with new_directory("to", to) as place:
        (place / "components").write_text("written before")
        with pytest.raises(WorkdirError, match="is being written by another process"), new_directory("to", to):
            pytest.fail("two write at once")
        (place / "journal").write_text("written after")
    assert names(to) == ["components", "journal"]
    assert names(tmp_path) == ["new"]


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".tmp-new"
    (left / "components").mkdir(parents=True)
    (left / "components" / "half").write_text("of a file")
    (left / "link").symlink_to(tmp_path)
    with new_directory("to", str(tmp_path / "new")) as place:
        assert not names(place)
    assert names(tmp_path) == ["new"]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("mine")
    (tmp_path / ".tmp-new").symlink_to(theirs)
    with pytest.raises(WorkdirError, match="cannot be written"), new_directory("to", str(tmp_path / "new")):
        pytest.fail("somebody else's directory")
    assert names(theirs) == ["file"]


def test_one_that_is_moved_before_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder before may rename it between any two calls."""
    place, calls, real = tmp_path / ".tmp-new", [], os.open

    def opened(path: Path, flags: int) -> int:
        calls.append(path)
        if len(calls) == 1:
            place.rename(tmp_path / "theirs")
        descriptor = real(path, flags)
        if len(calls) == 2:
            place.rename(tmp_path / "theirs2")
        return descriptor

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opened)
        with new_directory("to", str(tmp_path / "new")) as made:
            patched.undo()
            (made / "file").write_text("ours")
    assert len(calls) == 3
    assert names(tmp_path / "new") == ["file"]


def test_all_of_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, synced, fsync = tmp_path / "new", set[int](), os.fsync

    def noted(descriptor: int) -> None:
        if not target.exists():
            synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with new_directory("to", str(target)) as place:
        (place / "inside").mkdir()
        for file in (place / "one", place / "inside" / "two"):
            file.write_text("x")
    assert synced >= {path.stat().st_ino for path in (target, *target.rglob("*"))}
