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


def test_an_open_pipe_is_written_to() -> None:
    """As `/dev/stdout` is one, and what a shell makes of `--output=>(...)`: a link that leads to no path."""
    reader, writer = os.pipe()
    try:
        output_file.write("--output", f"/dev/fd/{writer}", b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"old")
    page.chmod(0o600)
    output_file.write("--output", str(page), b"private")
    assert page.stat().st_mode & 0o777 == 0o600
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != page and real(path, mode))  # as of 0o400
    with pytest.raises(UserError, match=r"Permission denied\. Give a file that may be written"):
        output_file.write("--output", str(page), b"content")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"page.html": b"private"}
