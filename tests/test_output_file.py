"""Files of commands: whole or not at all, and refused with the advice that fits."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from munet import output_file
from munet.errors import UserError


def fails(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on files are begun and then fail."""

    def write(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:1])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", write)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "may be written"), (errno.EACCES, "may be written")],
)
def test_a_file_that_fails_leaves_the_one_before_it(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.html").write_bytes(b"old")
    fails(number, monkeypatch)
    for name in ("old.html", "new.html"):
        with pytest.raises(UserError, match=advice) as caught:
            output_file.write("--output", str(tmp_path / name), b"content")
        assert "Give a file in a folder" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.html": b"old"}


@pytest.mark.parametrize(
    ("output", "advice"), [("no/a", "folder that exists"), ("file/a", "folder that exists"), ("", "name of a file")]
)
def test_what_is_no_place_for_a_file_is_refused(output: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=advice):
        output_file.write("--output", str(tmp_path / output), b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    output_file.write("--output", str(tmp_path / "link"), b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    output_file.write("--output", str(tmp_path / "pipe"), b"content")
    reader.join(30)
    assert read == [b"content"]
    assert (tmp_path / "pipe").is_fifo()
