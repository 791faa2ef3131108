"""Saves a generation that is still in training with Orbax, so that a restart continues inside it (DESIGN decision 6).

Published = store, in flight = here. A save happens at most every few minutes, after a cycle, and asynchronously; it
holds the whole state of every chunk, so that what continues is bit for bit what would have gone on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from orbax.checkpoint import v1 as ocp

from munet import rng
from munet.training.programs import TrainState
from munet.types import ModelId, Quality


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
      folder: where to save; emptied when a generation ends.
      minutes: least time between two saves; 0 saves after every cycle.
      clock: seconds, monotonic.
    """

    def __init__(self, folder: str, minutes: float, clock: Callable[[], float] = time.monotonic):
        self._folder = epath.Path(folder)
        self._seconds = minutes * 60
        self._clock = clock
        self._last_save = clock()
        self._pending: Any = None

    def save(
        self,
        path: rng.Path,
        cycle: int,
        states: Sequence[TrainState],
        qualities: Mapping[ModelId, list[Quality]],
        diverged: Mapping[ModelId, int],
    ) -> None:
        """Saves in the background if the last save is old enough; `path` names the generation (and stream)."""
        if self._clock() - self._last_save < self._seconds:
            return
        self._wait()
        ids = sorted(qualities)
        tree = {
            "states": [state._asdict() for state in states],
            "ids": np.array(ids, np.int64),
            "correct": np.array([[quality.correct for quality in qualities[item]] for item in ids], np.int64),
            "counted": np.array([[quality.counted for quality in qualities[item]] for item in ids], np.int64),
            "diverged": np.array([diverged.get(item, -1) for item in ids], np.int64),
        }
        self._pending = ocp.save_async(self._folder / f"{_name(path)}-{cycle:06d}", tree, overwrite=True)
        self._last_save = self._clock()

    def restore(self, path: rng.Path, like: Sequence[TrainState]) -> Saved | None:
        """The newest complete save of this generation, placed as `like` is; None if there is none."""
        found = sorted(self._folder.glob(f"{_name(path)}-[0-9]*[0-9]")) if self._folder.exists() else []
        complete = [item for item in found if ocp.is_orbax_checkpoint(item)]
        if not complete:
            return None
        cycle = int(complete[-1].name.rsplit("-", 1)[1])
        num_children = ocp.metadata(complete[-1]).metadata["ids"].shape[0]
        # NumPy leaves say "on the host" to Orbax.
        table, row = np.zeros((num_children, cycle + 1), np.int64), np.zeros(num_children, np.int64)
        abstract = {
            "states": [jax.tree.map(_abstract, state._asdict()) for state in like],
            "ids": row,
            "correct": table,
            "counted": table,
            "diverged": row,
        }
        tree = ocp.load(complete[-1], abstract)
        ids = [int(item) for item in tree["ids"]]
        return Saved(
            cycle,
            tuple(TrainState(**state) for state in tree["states"]),
            {
                item: [Quality(int(c), int(n)) for c, n in zip(correct, counted, strict=True)]
                for item, correct, counted in zip(ids, tree["correct"], tree["counted"], strict=True)
            },
            {item: int(at) for item, at in zip(ids, tree["diverged"], strict=True) if at >= 0},
        )

    def clear(self) -> None:
        """Removes every save: the generation is over."""
        self._wait()
        if self._folder.exists():
            self._folder.rmtree()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None


def _name(path: rng.Path) -> str:
    return rng.digest(path).hex()[:16]


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
