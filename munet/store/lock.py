"""The lock of a directory, and what a directory that we are to use may hold already.

The lock is the operating system's, so it ends with the process however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from munet.errors import WorkdirError
from munet.store.folders import open_folder
from munet.store.local import disk_full_named, make_directory

FILE = "lock"
_OF_THE_SYSTEM = {"lost+found"}  # in the root of a freshly made file system


def acquire(directory: Path) -> int:
    """A descriptor of the directory's lock file, locked, the file holding our process id and host.

    Raises:
      WorkdirError: a living process holds it, and the message names it; or the directory cannot be written.
    """
    path = directory / FILE
    try:
        with disk_full_named(str(path)):
            while True:
                make_directory(directory)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # The holder before us may have removed the file between our two calls: then lock the new one.
                    if _is_same(descriptor, path):
                        _sign(descriptor, path)
                        return descriptor
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
    except BlockingIOError:
        raise WorkdirError(_in_use(path)) from None
    except OSError as error:
        raise WorkdirError(f"The work directory {directory} cannot be written: {error.strerror}.") from error


def release(descriptor: int) -> None:
    """Gives the lock back."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for processes forked meanwhile, which share it
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(workdir: Path, places: Collection[str]) -> Iterator[None]:
    """Holds the lock of a work directory, which is made, while the block runs.

    When the block ends with nothing stored, what was made here is removed again.

    Args:
      workdir: the directory.
      places: folders whose files are what counts as stored: parts of the work directory, or the directory itself.

    Raises:
      WorkdirError: a living process holds it; the message names the process.
    """
    made = [path for path in (workdir, *workdir.parents) if not path.exists()]
    try:
        descriptor = acquire(workdir)
    except BaseException:
        _remove_empty(made)
        raise
    try:
        yield
    finally:
        try:
            if not any(open_folder(place).names() - {FILE} for place in places):
                (workdir / FILE).unlink(missing_ok=True)
                _remove_empty([*(Path(place) for place in places if Path(place) != workdir), *made])
            else:
                os.ftruncate(descriptor, 0)
        finally:
            release(descriptor)


def check_usable(workdir: Path, ours: Collection[str], what: str) -> None:
    """Refuses what is no directory, or one full of other things.

    Args:
      workdir: the directory; it need not exist.
      ours: names of files and folders of which any tells that it was made by us.
      what: what we keep in it, for the message: "run".

    Raises:
      WorkdirError: it cannot be used.
    """
    if workdir.exists() and not workdir.is_dir():
        raise WorkdirError(f"The work directory {workdir} is a file: give a new or empty directory.")
    if not workdir.exists():
        return
    try:
        names = {path.name for path in workdir.iterdir()}
    except PermissionError as error:
        raise WorkdirError(f"The work directory {workdir} cannot be read: {error.strerror}.") from None
    others = {name for name in names if not name.startswith(".")} - _OF_THE_SYSTEM - {FILE}
    if others and not others.intersection(ours):
        raise WorkdirError(
            f"The work directory {workdir} holds other things ({', '.join(sorted(others)[:3])}, ...) and no {what}: "
            "give a new or empty directory."
        )


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, path: Path) -> None:
    """Writes who we are into the locked file."""
    is_new = os.fstat(descriptor).st_size == 0
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
    except OSError:
        if is_new:
            path.unlink()
        raise


def _remove_empty(directories: Iterable[Path]) -> None:
    for directory in directories:
        with contextlib.suppress(OSError):  # not there, or somebody else put something in
            directory.rmdir()


def _in_use(path: Path) -> str:
    words = path.read_text("utf-8", "replace").split() if path.exists() else []
    holder = f"process {words[0]} on {words[1]}" if len(words) == 2 else "another process"
    return f"The work directory {path.parent} is in use by {holder}: wait for it, stop it, or give another directory."
