"""Saves a training state with Orbax, in the background, newest only: for whatever is in flight.

A training needs none of its saves: one that fails is told once and left aside, one that cannot be used is removed.
What was saved is used only as it was written: see `save_manifest.py`. Orbax makes every directory that it misses, also
a work directory that was moved away meanwhile; what it made there is removed again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from etils import epath
from orbax.checkpoint import v1 as ocp

from munet.errors import UserError
from munet.store.folders import is_remote
from munet.store.lock import is_same
from munet.training import quiet, save_manifest

Read = TypeVar("Read")
_LOGGER = logging.getLogger(__name__)
_SOONER = 0.1  # of the least time between two saves
_TRIES = 3  # to remove a folder that somebody may still write to


class Subject(NamedTuple):
    """What is saved, in words."""

    what: str  # "The generation in training"
    goes_on: str  # what runs on if a save fails: "the run"


class _Pending(NamedTuple):
    """A save that is being written.

    Attributes:
      target: where.
      family: whose older saves it replaces.
      written: done when it is complete.
      around: the local directory that holds the folder of saves, open; None in an object store.
    """

    target: epath.Path
    family: str
    written: Future[None]
    around: int | None

    def ended(self) -> bool:
        """Closes the directory; whether that was in its place to the end."""
        if self.around is None:
            return True
        try:
            return is_same(self.around, Path(self.target.parent.parent))
        finally:
            os.close(self.around)


class Saves:
    """Saves of training states in one folder. Names are `FAMILY-SOMETHING`; a newer save replaces its family's others.

    Args:
      folder: where to save, absolute; removed by `clear`.
      minutes: least time between two saves; 0: a save is always due.
      subject: what is saved, for messages.
      note: told what people should know: that saving failed (once), that a save cannot be used.
      clock: seconds, monotonic.

    Attributes:
      has_failed: whether the last save that was begun has failed, once it was waited for.
    """

    def __init__(
        self,
        folder: str,
        minutes: float,
        subject: Subject,
        *,
        note: Callable[[str], None] = _LOGGER.warning,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder = _path(folder, is_wanted=minutes >= 0)
        self._seconds = minutes * 60
        self._what, self._goes_on = subject
        self._note = note
        self._clock = clock
        self._last_save = clock()
        self._pending: _Pending | None = None
        self._background = ThreadPoolExecutor(1)  # its thread is made when there is something to save
        self.has_failed = self._is_told = False
        quiet.about_failed_saves()

    def begin(self) -> None:
        """Something new is in training: its first save is due when it is old enough itself."""
        self._last_save = self._clock()

    @property
    def is_due(self) -> bool:
        """Whether the last save is old enough for another."""
        return self._is_old(1.0)

    @property
    def is_due_at_an_end(self) -> bool:
        """The same for what nothing later will save: sooner, as there may be many such ends."""
        return self._is_old(_SOONER)

    def _is_old(self, share: float) -> bool:
        return self._clock() - self._last_save >= share * self._seconds

    def save(self, family: str, name: str, tree: Any) -> None:
        """Saves a tree of arrays in the background; one that fails is told once, never raised.

        Args:
          family: the save replaces its older ones.
          name: of the save: `FAMILY-SOMETHING`.
          tree: the arrays.
        """
        self.wait()
        target, around = self._folder / name, None
        try:
            if not is_remote(self._folder):
                around = os.open(self._folder.parent, os.O_RDONLY | os.O_DIRECTORY)
            # Returns with the state copied to the host (or held there, which makes donating it copy): it may change.
            response = ocp.save_async(target, tree, overwrite=True)
            self._pending = _Pending(target, family, self._background.submit(_finish, response, target), around)
        except Exception as error:  # Orbax and TensorStore raise what they like; none of it matters to the run
            if around is not None:
                os.close(around)
            self._failed(target, error)
        self._last_save = self._clock()

    def complete(self, family: str) -> list[epath.Path]:
        """The complete saves of a family, sorted by name."""
        found = sorted(self._folder.glob(f"{family}-*")) if self._folder.exists() else []
        return [item for item in found if "." not in item.name and ocp.is_orbax_checkpoint(item)]

    def restore(self, saves: Sequence[epath.Path], read: Callable[[epath.Path], Read], instead: str) -> Read | None:
        """What `read` makes of the newest of some saves that can be used; those that cannot are told and removed.

        Saves with a manifest come first: every byte of them is checked. One without is of an older version, or of a
        process that was killed while it wrote the manifest; it is told that it goes unchecked.

        Args:
          saves: complete ones.
          read: reads one with `load`; whatever it raises is told.
          instead: what happens where none can be used: "training starts from its beginning".
        """
        order = sorted(saves, key=lambda item: (_is_checked(item), item.name))
        while order:
            saved = order.pop()
            try:
                if save_manifest.is_there(saved):
                    save_manifest.check(saved)
                else:
                    self._note(f"{saved} has no manifest to be checked against, and is used as it is.")
                return read(saved)
            except Exception as error:  # Orbax and TensorStore raise what they like; none of it matters to the run
                then = "the save before it is tried" if order else instead
                self._note(f"{saved} cannot be used, {then}: {_line(error)}")
                _remove([saved])
        return None

    def load(self, saved: epath.Path, abstract: Any) -> Any:
        """A save's tree, placed as the leaves of `abstract` say (NumPy leaves: on the host).

        Raises:
          Exception: of any type, from Orbax and TensorStore: it is damaged, or has other arrays.
        """
        return ocp.load(saved, abstract)

    def clear(self) -> None:
        """Removes every save of the folder, and the folder."""
        self.wait()
        if self._folder.exists():
            _remove([self._folder])

    def wait(self) -> None:
        """Waits for the save in the background; when it is complete, removes what it replaces."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        error = pending.written.exception()
        if not pending.ended():
            self.has_failed = True  # it is the holder of the directory's lock who says why
            self._remove_where_none_should_be(pending.target)
        elif error is not None:  # as in `save`
            self._failed(pending.target, error)
        else:
            self.has_failed = False
            others = self._folder.glob(f"{pending.family}-*")
            _remove([item for item in others if item.name != pending.target.name])

    def _remove_where_none_should_be(self, target: epath.Path) -> None:
        """Removes a save from where its directory is no longer, and the directories that Orbax made for it."""
        _remove(list(self._folder.glob(f"{target.name}*")) if self._folder.exists() else [])
        for made in (self._folder, self._folder.parent):
            with contextlib.suppress(OSError):  # somebody else's: there is more in it
                Path(made).rmdir()

    def _failed(self, target: epath.Path, error: BaseException) -> None:
        if not self._is_told:
            self._note(f"{self._what} cannot be saved; {self._goes_on} goes on without: {_line(error)}")
        self.has_failed = self._is_told = True
        # Half a save is of no use and may be what filled the disk. Complete ones do not have this name.
        _remove(list(self._folder.glob(f"{target.name}*")) if self._folder.exists() else [])


def _path(folder: str, is_wanted: bool) -> epath.Path:
    """A folder as Orbax takes it.

    Raises:
      UserError: it knows no such kind of place.
    """
    try:
        return epath.Path(folder)
    except KeyError:
        if not is_wanted:
            return epath.Path(os.devnull) / "saves"  # there is nothing at such a place, and never will be
        scheme = folder.partition("://")[0]
        raise UserError(
            f"{folder}: what is in training cannot be saved at {scheme}://.",
            "Give a local path or gs://bucket/path, or save nothing inside of generations: "
            "--config.checkpoint_minutes=-1.",
        ) from None


def abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    """What an array is like, and where it lies, for `Saves.load`."""
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _is_checked(saved: epath.Path) -> bool:
    """Whether a save has a manifest; one that cannot be read is told when it is its turn."""
    try:
        return save_manifest.is_there(saved)
    except OSError:
        return False


def _finish(response: Any, target: epath.Path) -> None:
    """Waits for Orbax, then writes the manifest: hashing is for this thread, not for the one that trains."""
    response.result()
    save_manifest.write(target)


def _remove(paths: Sequence[epath.Path]) -> None:
    for path in paths:
        for _ in range(_TRIES):  # a failed save may still be writing; the next `clear` tries again
            with contextlib.suppress(OSError):
                path.rmtree()
            if not path.exists():
                break


def _line(error: BaseException) -> str:
    """An error in one line; TensorStore's have many."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
