"""The lock of a directory: the operating system's, so it ends with the process however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from munet.errors import WorkdirError
from munet.store.files import disk_full_named, make_directory

FILE = "lock"


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


def _in_use(path: Path) -> str:
    words = path.read_text("utf-8", "replace").split() if path.exists() else []
    holder = f"process {words[0]} on {words[1]}" if len(words) == 2 else "another process"
    return f"The work directory {path.parent} is in use by {holder}: wait for it, stop it, or give another directory."
