"""Downloads a file into the cache: resumed where it broke off, checked, and put in place by one rename.

What has arrived lies in `FILE.part`, with the version it is of in `FILE.part.json`. Processes that want the same file
wait for the one that is downloading it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from munet.errors import CheckpointError, DiskFullError, UserError
from munet.roots import cached_files
from munet.roots.remote_file import Changed, Interrupted, RemoteFile, Unreachable
from munet.store.local import disk_full_named, make_directory, sync_directory

_ATTEMPTS = 6  # without a byte of progress
_LONGEST_WAIT = 20.0  # seconds between attempts
_PAUSE = 10.0  # seconds between lines about a transfer, where no terminal shows it


def fetch(
    url: str,
    source: RemoteFile,
    place: Path,
    check: Callable[[Path], object],
    *,
    sha256: str = "",
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Makes sure that `place` holds the file of a URL.

    Args:
      url: what to call it in messages.
      source: reads it.
      place: where it is to be.
      check: called with a downloaded file before it is put in place; what it raises is the end of that file.
      sha256: what its hash must be; "": anything.
      wait: waits for some seconds.

    Raises:
      CheckpointError: it cannot be had, or is not what it should be; the message says how to get it by hand.
      DiskFullError: there is no room for it.
    """
    if place.exists():
        return
    try:
        make_directory(place.parent)
    except OSError as error:
        raise UserError(f"The cache folder {place.parent} cannot be made: {error.strerror}.") from error
    part = place.with_name(f"{place.name}.part")
    with _only_one(place), Meter(f"downloading {url}") as meter:
        if place.exists():  # somebody else has downloaded it meanwhile
            return
        _persist(url, source, place, part, meter, wait)
        try:
            digest = cached_files.file_sha256(part)
            if sha256 and digest != sha256:
                raise CheckpointError(
                    f"{url} has the SHA-256 {digest}, expected {sha256}: it is another file, or was damaged on its "
                    "way. It was not kept."
                )
            check(part)
        except CheckpointError:
            _discard(part)
            raise
        os.replace(part, place)  # noqa: PTH105 - the same function, but tests can count on it
        sync_directory(place.parent)
        cached_files.remember(place, url)
        _discard(part)


def _persist(
    url: str, source: RemoteFile, place: Path, part: Path, meter: Meter, wait: Callable[[float], None]
) -> None:
    """Transfers until all is there, or nothing more comes."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, source, part, meter)
            return
        except Interrupted as error:
            if isinstance(error, Changed):
                _discard(part)
            failures = 1 if _size(part) > before else failures + 1
            if failures >= (2 if isinstance(error, Unreachable) else _ATTEMPTS):
                raise CheckpointError(_by_hand(url, place, part, str(error))) from error
            wait(min(0.5 * 2**failures, _LONGEST_WAIT))


def _transfer(url: str, source: RemoteFile, part: Path, meter: Meter) -> None:
    """One attempt: from where the last one ended, if the file still is the same one.

    Raises:
      Interrupted: it ended early.
    """
    version, total = _noted(part)
    if total is not None and total == _size(part):  # all was there when the process ended
        return
    with source.open(_size(part), version) as stream:
        if not stream.start:
            _discard(part)
        _leave_room(url, part, stream.total, stream.start)
        _version_file(part).write_text(json.dumps({"version": stream.version, "total": stream.total}))
        done = stream.start
        with disk_full_named(str(part)), part.open("ab") as file:
            for chunk in stream.chunks:
                file.write(chunk)
                done += len(chunk)
                meter.show(done, stream.total)
            file.flush()
            os.fsync(file.fileno())
        if stream.total is not None and done < stream.total:
            raise Interrupted(f"the transfer ended after {done:,} of {stream.total:,} bytes")
        if stream.total is not None and done > stream.total:
            raise Changed(f"{done:,} bytes came, {stream.total:,} were announced")


def _by_hand(url: str, place: Path, part: Path, reason: str) -> str:
    arrived = _size(part)
    kept = f" {arrived:,} bytes are kept: the same command goes on from there." if arrived and _noted(part)[0] else ""
    return (
        f"{url} cannot be downloaded: {reason}.{kept}\n"
        f"Without a network: download it on another machine and put it at\n  {place}\n"
        "The same command then finds it there."
    )


def _leave_room(url: str, part: Path, total: int | None, have: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - have > free:
        raise DiskFullError(
            f"{url} has {total:,} bytes, and the disk of {part.parent} has room for {free:,}: free some, or choose "
            "another folder (--config.cache_dir, or MUNET_CACHE_DIR)."
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _noted(part: Path) -> tuple[str, int | None]:
    """The version that the bytes in `part` are of ("": unknown, so that they are of no use), and the whole size."""
    try:
        note = json.loads(_version_file(part).read_text())
        return str(note["version"]), int(note["total"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "", None


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Waits until no other process downloads this file. The lock is the system's and ends with the process."""
    lock = place.with_name(f".{place.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Meter:
    """Says how far a transfer is, on standard error: a bar on a terminal, now and then a line elsewhere.

    A context manager, for as long as the transfer lasts; nothing is shown of one that is over at once.
    """

    def __init__(self, what: str, stream: TextIO | None = None):
        self._what, self._stream = what, stream or sys.stderr
        self._next = time.monotonic() + (0.5 if self._stream.isatty() else 2.0)
        self._is_shown = False

    def show(self, done: int, total: int | None) -> None:
        """Says how many bytes are there, of how many (None: nobody knows)."""
        now = time.monotonic()
        if now < self._next:
            return
        share = f"{done / total:4.0%} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
        if self._stream.isatty():
            self._next = now + 0.25
            self._stream.write(f"\r\x1b[2K{self._what}: {share}")
        else:
            self._next = now + _PAUSE
            self._stream.write(f"{self._what}: {share}\n")
        self._stream.flush()
        self._is_shown = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown and self._stream.isatty():
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
