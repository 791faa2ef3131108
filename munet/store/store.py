"""A run's directory: components, journal, snapshots, and the lock that keeps a second run out.

Readers need no lock: every file appears whole, components before the journal entry that names them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from munet import kinds
from munet.errors import CorruptionError, WorkdirError, nearest
from munet.store import lock
from munet.store.components import ComponentStore
from munet.store.folders import absolute, is_remote, open_folder
from munet.store.journal import FORMAT_VERSION, Journal
from munet.store.keeper import Keeper
from munet.store.one_writer import only_writer
from munet.store.snapshots import Snapshots

__all__ = ["FORMAT_VERSION", "Store"]

_COMPONENTS, _JOURNAL, _SNAPSHOTS = "components", "journal", "snapshots"
# Everything that a run puts into a work directory: one that holds any of it may be gone on with.
_OURS = {_COMPONENTS, _JOURNAL, _SNAPSHOTS, "log.jsonl", "in_flight", "baselines"}


class Store:
    """The parts of a work directory.

    Attributes:
      path: the work directory: absolute, or a URL.
      components, journal, snapshots: its parts.
    """

    def __init__(self, workdir: str | os.PathLike[str]):
        self.path = absolute(workdir)  # Orbax takes no relative one
        self.components = ComponentStore(self._sub(_COMPONENTS), self.check_held)
        self.journal = Journal(self._sub(_JOURNAL), self._check_if_held)
        self.snapshots = Snapshots(self._sub(_SNAPSHOTS))
        self._keeper: Keeper | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is a journal, whole or not."""
        try:
            return len(self.journal) > 0
        except CorruptionError:
            return True

    @classmethod
    def open(cls, workdir: str | os.PathLike[str]) -> Store:
        """An existing run, for reading; also while the run goes on.

        Raises:
          WorkdirError: there is no run at `workdir`, or one of a newer format.
          CorruptionError: the journal's first entry is damaged or missing.
        """
        store = cls(workdir)
        if not len(store.journal):
            raise WorkdirError(_no_run(store.path))
        store.journal.check_format()
        return store

    @classmethod
    def create_or_open(cls, workdir: str | os.PathLike[str]) -> Store:
        """A run to go on with, or a place for a new one. Nothing is written before `lock`.

        Raises:
          WorkdirError: `workdir` holds something else, or a run of a newer format.
          CorruptionError: the journal's first entry is damaged or missing.
        """
        store = cls(workdir)
        if (other := kinds.found(store.path)) is not None and other.method is not None:  # some files have equal names
            raise WorkdirError(
                f"The work directory {store.path} holds a {other.what} and no run: give a new or empty directory."
            )
        if not is_remote(store.path):
            lock.check_usable(Path(store.path), _OURS, "run")
        store.journal.check_format()
        return store

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other run out while the block runs, and clears what killed runs left half-written.

        The lock is the operating system's, so it ends with the process however that ends; in object stores it is a
        lease (`lease.py`). When the block ends with nothing stored, what was made here is removed again.

        Raises:
          WorkdirError: a living process holds it; the message names the process.
        """
        with only_writer(self.path, self._places, lambda: not len(self.journal)) as self._keeper:
            try:
                self.remove_leftovers()
                yield
            finally:
                self._keeper = None

    def check_held(self) -> None:
        """Refuses to write where another process does, or where the directory is no longer in its place.

        Raises:
          WorkdirError: so it is.
          RuntimeError: the lock is not held.
        """
        if self._keeper is None:
            raise RuntimeError("This needs lock() to be held: another process may be writing.")
        self._keeper.check()

    def _check_if_held(self) -> None:
        if self._keeper is not None:  # a directory that is made under another name has no lock
            self._keeper.check()

    def remove_leftovers(self) -> None:
        """Removes temporary files of killed processes; `lock` does it on entering.

        Raises:
          RuntimeError: the lock is not held: another process may be writing them at this moment.
        """
        self.check_held()
        for place in (self.path, *self._places):
            open_folder(place).remove_leftovers()

    @property
    def _places(self) -> tuple[str, ...]:
        return self.components.path, self.journal.path, self.snapshots.path

    def _sub(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"


def _no_run(path: str) -> str:
    """That there is no run at `path`, with the directories near it that hold one."""
    message = f"There is no run in {path}: it has no journal."
    if (other := kinds.found(path)) is not None:
        return f"There is no run in {path}, but a {other.what}{other.reader.format(workdir=path)}."
    if is_remote(path):
        return message
    workdir = Path(path)
    runs = []
    for parent in (workdir, workdir.parent):
        with contextlib.suppress(OSError):
            runs += [str(found) for found in parent.iterdir() if (found / _JOURNAL).is_dir()]
    if runs:
        return f"{message} {nearest(path, runs)}"
    try:
        lock.check_usable(workdir, _OURS, "run")
    except WorkdirError:  # `munet evolve` would refuse it
        return f"{message} `munet evolve --workdir=DIR` starts one in a new or empty directory."
    return f"{message} `munet evolve --workdir={path}` starts one."
