"""The lock of a directory, and what a directory that we are to use may hold already.

The lock is the operating system's, so it ends with the process however that ends. Between machines that share a file
system it may not reach; so its file also says who holds it, and is touched every few seconds: whoever gets the lock of
a file that another machine has signed looks for signs of life first, and signs it, if there are none, in its turn. The
one before finds that before it commits anything, and stops.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from munet import kinds
from munet.errors import WorkdirError
from munet.store import keeper
from munet.store.folders import open_folder
from munet.store.keeper import Owner
from munet.store.local import disk_full_named, make_directory

FILE = "lock"
_OF_THE_SYSTEM = {"lost+found"}  # in the root of a freshly made file system
_LOGGER = logging.getLogger(__name__)


class Held:
    """A lock that this process holds.

    Args:
      path: of the lock file.
      descriptor: of it, locked.
      owner: that has signed it.
    """

    def __init__(self, path: Path, descriptor: int, owner: Owner):
        self._path, self.descriptor, self._owner = path, descriptor, owner

    @property
    def is_there(self) -> bool:
        """Whether the file that we locked is where it was: the directory was neither moved nor replaced."""
        return is_same(self.descriptor, self._path)

    def check(self) -> None:
        """See `keeper.Keeper`."""
        if not self.is_there:
            raise WorkdirError(
                f"The work directory {self._path.parent} was deleted, moved or replaced while this process used it: "
                "nothing more is written. What was committed is wherever the directory is now; give the same command "
                "with its place as --workdir to go on."
            )
        if (found := _signature(self._path)) != self._owner:
            raise WorkdirError(
                f"The work directory {self._path.parent} has been taken over by {found or 'another process'}: this "
                "process stops. What was committed is kept; nothing more was written."
            )

    def beat(self) -> None:
        """Gives a sign of life."""
        os.utime(self.descriptor)

    def clear(self) -> None:
        """Says that nobody holds the lock, if we do."""
        if self.is_there and _signature(self._path) == self._owner:
            os.ftruncate(self.descriptor, 0)

    def release(self) -> None:
        """Gives the lock back."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # also for processes forked meanwhile, which share it
        finally:
            os.close(self.descriptor)


def acquire(directory: Path) -> Held:
    """The directory's lock, its file signed by us.

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
                    if is_same(descriptor, path):
                        _wait(path)
                        owner = Owner.here()
                        _sign(descriptor, path, owner)
                        return Held(path, descriptor, owner)
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
    except BlockingIOError:
        raise WorkdirError(_in_use(path)) from None
    except OSError as error:
        raise WorkdirError(f"The work directory {directory} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def locked(workdir: Path, places: Collection[str]) -> Iterator[Held]:
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
        held = acquire(workdir)
    except BaseException:
        _remove_empty(made)
        raise
    try:
        with keeper.beating(held.beat):
            yield held
    finally:
        try:
            if held.is_there and not any(open_folder(place).names() - {FILE} for place in places):
                (workdir / FILE).unlink(missing_ok=True)
                _remove_empty([*(Path(place) for place in places if Path(place) != workdir), *made])
            else:
                held.clear()
        finally:
            held.release()


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
        kind = kinds.found(str(workdir))
        held = f"a {kind.what}" if kind else f"other things ({', '.join(sorted(others)[:3])}, ...)"
        raise WorkdirError(f"The work directory {workdir} holds {held} and no {what}: give a new or empty directory.")


def is_same(descriptor: int, path: Path) -> bool:
    """Whether what is open is what is at a path now."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _wait(path: Path) -> None:
    """Returns when whoever has signed a lock file that we could lock is dead.

    Raises:
      BlockingIOError: it lives on another machine, where the lock does not reach.
    """
    holder = _signature(path)
    if holder is None or holder.is_on_this_machine:
        return
    _LOGGER.warning("%s is signed by %s: waiting for a sign of life ...", path, holder)
    if keeper.shows_life(lambda: _look(path)):
        raise BlockingIOError


def _look(path: Path) -> object:
    """Signature and time of a lock file, of a fresh descriptor: network file systems look again on opening only."""
    with path.open("rb") as file:
        return file.read(), os.fstat(file.fileno()).st_mtime_ns


def _signature(path: Path) -> Owner | None:
    """Who has signed a lock file; None: nobody, or a version of munet that said less."""
    try:
        words = path.read_text("utf-8", "replace").split()
    except OSError:
        return None
    if len(words) != 4 or not words[0].isdecimal():
        return None
    return Owner(int(words[0]), *words[1:])


def _sign(descriptor: int, path: Path, owner: Owner) -> None:
    """Writes who we are into the locked file."""
    is_new = os.fstat(descriptor).st_size == 0
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner.pid} {owner.host} {owner.boot} {owner.token}\n".encode())
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
    holder = f"process {words[0]} on {words[1]}" if len(words) in (2, 4) else "another process"
    return f"The work directory {path.parent} is in use by {holder}: wait for it, stop it, or give another directory."
