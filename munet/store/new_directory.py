"""A directory that is there wholly or not at all: written beside its place under a temporary name, renamed then."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from munet.errors import UserError, WorkdirError
from munet.store.folders import is_remote, local_path
from munet.store.local import TEMPORARY_PREFIX, disk_full_named, make_directory, sync_directory
from munet.store.lock import is_same


def check_new_directory(option: str, to: str, workdir: str) -> None:
    """Refuses a place that cannot be used, before anything is worked out.

    Args:
      option: the command line's name of it, `to`.
      to: the place.
      workdir: the work directory that stays as it is.

    Raises:
      UserError: what is wrong with it.
    """
    if is_remote(to):
        raise UserError(f"--{option}={to}: give a local directory.")
    new = Path(to).resolve()
    if not is_remote(workdir):
        old = Path(local_path(workdir)).resolve()
        if old == new or old in new.parents or new in old.parents:
            raise UserError(
                f"--{option}={to} is, holds or lies inside --workdir={workdir}, which stays as it is: give another "
                "directory."
            )
    try:
        is_free = not new.exists() or (new.is_dir() and not any(new.iterdir()))
    except OSError as error:
        raise UserError(f"--{option}={to} cannot be used: {error.strerror or error}.") from error
    if not is_free:
        raise WorkdirError(f"--{option}={to} is there already and is not empty: give a new or empty directory.")


@contextmanager
def new_directory(option: str, to: str) -> Iterator[Path]:
    """A directory that becomes `to` if all goes well, and is removed if not; one that a kill left is removed.

    Raises:
      WorkdirError: another process is writing it, or something else has come to be there meanwhile, or the place cannot
        be written.
      DiskFullError: nothing is left behind.
    """
    target = Path(to).resolve()
    place = target.parent / f"{TEMPORARY_PREFIX}{target.name}"
    try:
        with disk_full_named(str(target)):
            make_directory(target.parent)
            with _held_alone(place):
                try:
                    yield place
                    _sync(place)
                    os.replace(place, target)  # noqa: PTH105 - over an empty directory too, but over no other
                except BaseException:
                    shutil.rmtree(place, ignore_errors=True)
                    raise
                sync_directory(target.parent)
    except BlockingIOError:
        raise WorkdirError(
            f"--{option}={target} is being written by another process: wait for it, or give another directory."
        ) from None
    except OSError as error:
        raise WorkdirError(f"--{option}={target} cannot be written: {error.strerror or error}.") from error


def _sync(place: Path) -> None:
    """Has the operating system write all that lies in a directory, so that no power cut leaves the name without it."""
    for folder, _, names in os.walk(place):
        for name in names:
            descriptor = os.open(Path(folder, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(folder))


@contextmanager
def _held_alone(place: Path) -> Iterator[None]:
    """An empty directory at a place, which no other process empties or renames while the block runs.

    The lock on it ends with the process, so one that a kill left is nobody's.

    Raises:
      BlockingIOError: another process holds it.
    """
    while True:
        place.mkdir(exist_ok=True)
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            _lock(descriptor)
            # The holder before us may have renamed or removed it between any two of our calls: then make a new one.
            if not is_same(descriptor, place):
                continue
            for item in place.iterdir():
                shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
            yield
            return
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # file systems that lock no directories (NFS): only one process at a time may write there
        return
