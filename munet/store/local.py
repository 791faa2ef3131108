"""Folders of the local file system in which a file is either wholly there or not at all.

A temporary name in the same folder, write, fsync, rename (or, where no file may be there, a link), fsync of the folder;
so a process that is killed at any instruction leaves at most a `.tmp-` file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from munet.errors import DiskFullError, WorkdirError

TEMPORARY_PREFIX = ".tmp-"
# What file systems without hard links say.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class LocalFolder:
    """A folder of the local file system; one writer at a time (the work directory's lock sees to that).

    Where the lock does not reach, on file systems that machines share, `create` still lets only one writer succeed.
    """

    def __init__(self, path: str):
        self.path = path
        self._root = Path(path)

    def location(self, name: str) -> str:
        """The full path of a file, for messages."""
        return str(self._root / name)

    def names(self) -> set[str]:
        """The names of all files but temporary ones; empty where the folder does not exist."""
        try:
            with os.scandir(self._root) as entries:
                return {e.name for e in entries if not e.name.startswith(TEMPORARY_PREFIX) and e.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def exists(self, name: str) -> bool:
        """Whether the file is there, wholly."""
        return (self._root / name).exists()

    def open(self, name: str) -> BinaryIO:
        """The file, opened for reading; `FileNotFoundError` where there is none."""
        return (self._root / name).open("rb")

    def read(self, name: str) -> bytes:
        """All bytes of a file; `FileNotFoundError` where there is none."""
        return (self._root / name).read_bytes()

    def create(self, name: str, data: bytes) -> None:
        """Writes a file once and for all; `FileExistsError` where there is one with other bytes, or another writes it.

        Of several writers that do so at the same time, wherever they run, one succeeds.
        """
        try:
            self._put(name, data, _publish_once)
        except FileExistsError:
            try:
                found = self.read(name)
            except FileNotFoundError:  # where there are no links: it is claimed, and not there yet
                raise FileExistsError(errno.EEXIST, "another process is writing it", self.location(name)) from None
            check_same(found, data, self.location(name))

    def replace(self, name: str, data: bytes) -> None:
        """Writes a file, instead of an older one if there is one; `DiskFullError` where there is no room."""
        self._put(name, data, os.replace)

    def _put(self, name: str, data: bytes, publish: Callable[[Path, Path], None]) -> None:
        """Writes a temporary file and lets `publish` give it its name.

        Raises:
          DiskFullError: there is no room.
          WorkdirError: another process has taken the temporary file for one that a killed process left.
        """
        # Drawn, for process ids of two machines may be the same.
        temporary = self._root / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}-{name}"
        with disk_full_named(self.location(name)):
            make_directory(self._root)
            try:
                _write(temporary, data)
                publish(temporary, self._root / name)
            except FileNotFoundError as error:
                if not self._root.is_dir() or temporary.exists():
                    raise
                raise WorkdirError(
                    f"{self.location(name)} was not written: another process has taken over, and removed what it found "
                    "half written. This process stops; what was committed is kept."
                ) from error
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            sync_directory(self._root)

    def delete(self, names: Iterable[str]) -> None:
        """Removes files; those that are not there are ignored."""
        for name in names:
            (self._root / name).unlink(missing_ok=True)
        if self._root.is_dir():
            sync_directory(self._root)

    def remove_leftovers(self) -> None:
        """Removes temporary files of killed processes; only for whoever holds the lock."""
        if self._root.is_dir():
            for leftover in self._root.glob(f"{TEMPORARY_PREFIX}*"):
                if not leftover.is_dir():
                    leftover.unlink(missing_ok=True)


def _publish_once(temporary: Path, target: Path) -> None:
    """Gives a file its name unless there is one of that name: `FileExistsError`; atomically, however many try."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        claim = target.parent / f"{TEMPORARY_PREFIX}claim-{target.name}"
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # of several only one
        try:
            if target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            os.replace(temporary, target)  # noqa: PTH105
        finally:
            claim.unlink()
    else:
        temporary.unlink()


def make_directory(path: Path) -> None:
    """Makes a directory and its parents, each one safe against a power cut."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Brings a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_full_named(location: str) -> Iterator[None]:
    """Turns "no space left" and "quota exceeded" into a `DiskFullError` that says what was to be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"The disk is full: {location} could not be written ({os.strerror(error.errno)}). "
            "Nothing that was committed is lost: free some space and give the same command again."
        ) from error


def _write(path: Path, data: bytes) -> None:
    """Writes a new file and brings its bytes to the disk, so that a rename never shows an empty or partial file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_same(found: bytes, data: bytes, location: str) -> None:
    """Raises `FileExistsError` where a file that is there is not the one to be written."""
    if found != data:
        raise FileExistsError(errno.EEXIST, "already written, with other bytes", location)
