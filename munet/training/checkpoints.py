"""Saves a generation that is still in training with Orbax, so that a restart continues inside it (DESIGN decision 6).

Published = store, in flight = here. A save happens at most every few minutes, after a cycle, and asynchronously; it
holds the whole state of every chunk, so that what continues is bit for bit what would have gone on. A run needs none of
it: a save that fails or does not fit is told and left aside, and the generation is trained from its beginning.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from orbax.checkpoint import v1 as ocp

from munet import rng
from munet.quality import Quality, Stratum
from munet.training.programs import TrainState
from munet.types import ModelId

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class InTraining:
    """What is in training, and in which shape: only a save of exactly this can go on.

    Attributes:
      path: key of the generation's batches.
      ids: its children, or those of one stream.
      chunks: a line for each chunk: what decides the arrays of its state.
      num_strata: that each of its qualities has.
    """

    path: rng.Path
    ids: tuple[ModelId, ...]
    chunks: tuple[str, ...]
    num_strata: int = 0

    @property
    def prefix(self) -> str:
        """Beginning of the names of all its saves, also of those that are grouped otherwise."""
        return rng.digest((*self.path, "children", *self.ids)).hex()[:16]

    @property
    def name(self) -> str:
        """Name of its saves, but for the cycle."""
        return f"{self.prefix}-{rng.digest(self.chunks).hex()[:16]}"


@dataclass(frozen=True)
class Saved:
    """A generation as it was after `cycle` (from 0)."""

    cycle: int
    states: tuple[TrainState, ...]
    qualities: dict[ModelId, list[Quality]]
    diverged: dict[ModelId, int]


class InFlight:
    """The training state of the one generation that is in training.

    Args:
      folder: where to save, absolute; removed by `clear` when the generation is committed.
      minutes: least time between two saves; 0 saves after every cycle.
      note: told what people should know: that saving failed (once), that a save cannot be used.
      clock: seconds, monotonic.
      is_last: whether the run is about to stop, so that a save is due in any case.
    """

    def __init__(
        self,
        folder: str,
        minutes: float,
        note: Callable[[str], None] = _LOGGER.warning,
        clock: Callable[[], float] = time.monotonic,
        is_last: Callable[[], bool] = lambda: False,
    ):
        self._folder = epath.Path(folder)
        self._seconds = minutes * 60
        self._note = note
        self._clock, self._is_last = clock, is_last
        self._last_save = clock()
        self._pending: tuple[epath.Path, InTraining, Any] | None = None
        self._has_failed = False

    def begin(self) -> None:
        """A generation begins: its first save is due when it is old enough itself."""
        self._last_save = self._clock()

    def save(
        self,
        what: InTraining,
        cycle: int,
        states: Sequence[TrainState],
        qualities: Mapping[ModelId, list[Quality]],
        diverged: Mapping[ModelId, int],
    ) -> None:
        """Saves in the background if the last save is old enough; one that fails is told once, never raised."""
        is_last = self._is_last()
        if self._clock() - self._last_save < self._seconds and not is_last:
            return
        self.wait()
        ids = sorted(qualities)
        tree = {
            "states": [state._asdict() for state in states],
            "ids": np.array(ids, np.int64),
            "qualities": np.array([[_counts(quality) for quality in qualities[item]] for item in ids], np.int64),
            "diverged": np.array([diverged.get(item, -1) for item in ids], np.int64),
        }
        target = self._folder / f"{what.name}-{cycle:06d}"
        try:
            # Returns with the state copied to the host (or held there, which makes donating it copy): it may change.
            self._pending = target, what, ocp.save_async(target, tree, overwrite=True)
        except Exception as error:  # Orbax and TensorStore raise what they like; none of it matters to the run
            self._failed(target, error)
        self._last_save = self._clock()

    def restore(self, what: InTraining, like: Sequence[TrainState]) -> Saved | None:
        """The newest complete save of `what`, placed as `like` is; None if there is none that can be used."""
        found = sorted(self._folder.glob(f"{what.prefix}-*")) if self._folder.exists() else []
        complete = [item for item in found if _cycle(item) is not None and ocp.is_orbax_checkpoint(item)]
        fitting = [item for item in complete if item.name.startswith(f"{what.name}-")]
        if complete and not fitting:
            self._note(
                "The generation in training was saved with its children grouped otherwise (other devices, "
                "children_per_dispatch or version); it is trained from its beginning."
            )
        if not fitting:
            return None
        try:
            return _load(fitting[-1], what, like)
        except Exception as error:  # as in `save`
            self._note(f"{fitting[-1]} cannot be used, the generation is trained from its beginning: {_line(error)}")
            _remove(fitting)
            return None

    def clear(self) -> None:
        """Removes every save: the generation is committed."""
        self.wait()
        if self._folder.exists():
            _remove([self._folder])

    def wait(self) -> None:
        """Waits for the save in the background; when it is complete, removes what it replaces."""
        if self._pending is None:
            return
        (target, what, response), self._pending = self._pending, None
        try:
            response.result()
        except Exception as error:  # as in `save`
            self._failed(target, error)
            return
        _remove([item for item in self._folder.glob(f"{what.prefix}-*") if item.name != target.name])

    def _failed(self, target: epath.Path, error: Exception) -> None:
        if not self._has_failed:
            self._note(f"The generation in training cannot be saved; the run goes on without: {_line(error)}")
        self._has_failed = True
        # Half a save is of no use and may be what filled the disk. Complete ones do not have this name.
        _remove(list(self._folder.glob(f"{target.name}*")) if self._folder.exists() else [])


def _load(saved: epath.Path, what: InTraining, like: Sequence[TrainState]) -> Saved:
    """Reads a save.

    Raises:
      Exception: of any type, from Orbax and TensorStore: it is damaged, or has other arrays.
    """
    cycle = _cycle(saved) or 0
    # NumPy leaves say "on the host" to Orbax.
    row = np.zeros(len(what.ids), np.int64)
    table = np.zeros((len(what.ids), cycle + 1, 2 + 3 * what.num_strata), np.int64)
    abstract = {
        "states": [jax.tree.map(_abstract, state._asdict()) for state in like],
        "ids": row,
        "qualities": table,
        "diverged": row,
    }
    tree = ocp.load(saved, abstract)
    found = [int(item) for item in tree["ids"]]
    if found != sorted(what.ids):
        raise ValueError(f"it holds children {found}, not {sorted(what.ids)}")
    return Saved(
        cycle,
        tuple(TrainState(**state) for state in tree["states"]),
        {
            item: [_quality(counts) for counts in rows]
            for item, rows in zip(found, np.asarray(tree["qualities"]).tolist(), strict=True)
        },
        {item: int(at) for item, at in zip(found, tree["diverged"], strict=True) if at >= 0},
    )


def _counts(quality: Quality) -> list[int]:
    """A quality as a row of integers."""
    strata = [number for item in quality.strata for number in (item.size, item.classes, item.correct)]
    return [quality.correct, quality.counted, *strata]


def _quality(counts: list[int]) -> Quality:
    """The quality that `_counts` made `counts` from."""
    strata = tuple(Stratum(*counts[start : start + 3]) for start in range(2, len(counts), 3))
    return Quality(counts[0], counts[1], strata)


def _cycle(saved: epath.Path) -> int | None:
    """The cycle of a save; None for anything else, such as one half-written."""
    last = saved.name.rsplit("-", 1)[1]
    return int(last) if last.isdecimal() and "." not in saved.name else None


def _remove(paths: Sequence[epath.Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # a failed save may still be writing; the next `clear` tries again
            path.rmtree()


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _line(error: Exception) -> str:
    """An error in one line; TensorStore's have many."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
