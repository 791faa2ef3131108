"""Files that come to their place whole, with everybody's rights as the umask gives them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from munet.store.replacing import new_folder, replacing


def test_rights_are_those_of_the_umask(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = os.umask(0o002)
    request.addfinalizer(lambda: os.umask(before))
    with replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(b"1")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o664
    assert new_folder(tmp_path).stat().st_mode & 0o777 == 0o775


def test_one_that_fails_leaves_the_file_before_it_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"old")

    def write() -> None:
        with replacing(place) as temporary:
            temporary.write_bytes(b"ne")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_two_writers_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    place = tmp_path / "file"
    with replacing(place) as one, replacing(place) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]
