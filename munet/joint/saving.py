"""Saves the state of a joint training, so that a start goes on where the one before it was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath

from munet.stopping import Signals
from munet.training.saves import Saves, Subject, abstract

_FAMILY = "step"


@dataclass(frozen=True)
class SavedState:
    """A tree of arrays, the rounds before it, and the seconds of training that they took, all starts together."""

    step: int
    state: Any
    seconds: float


def rounds_saved(folder: str) -> int:
    """After how many rounds the newest state in a folder was saved; 0 where there is none."""
    saves = Saves(folder, -1, Subject("The state in training", "training"), note=lambda _: None).complete(_FAMILY)
    return int(saves[-1].name.rpartition("-")[2]) if saves else 0


class JointSaves:
    """The newest state of a training, on disk.

    Args:
      folder: absolute.
      minutes: least time between two saves; below 0: none are made.
      note: told what people should know of saves that fail or cannot be used.
    """

    def __init__(self, folder: str, minutes: float, note: Callable[[str], None]):
        self._saves = Saves(folder, minutes, Subject("The state in training", "training"), note=note)
        self.is_wanted = minutes >= 0
        self.signals = Signals()

    @property
    def is_due(self) -> bool:
        """Whether the last save is old enough for another, or the training is about to end by a signal."""
        return self.is_wanted and (self._saves.is_due or self.signals.is_requested)

    @property
    def has_failed(self) -> bool:
        """Whether the last save that was begun has failed."""
        return self._saves.has_failed

    def save_if_due(self, state: Any, step: int, seconds: float) -> None:
        """Saves in the background if a save is due."""
        if self.is_due:
            self.save(state, step, seconds)

    def save(self, state: Any, step: int, seconds: float) -> None:
        """Saves in the background."""
        # Leaves alone: how optax nests them is its own affair, and empty nests are no business of Orbax.
        tree = {"leaves": jax.tree.leaves(state), "seconds": np.array([seconds])}
        self._saves.save(_FAMILY, f"{_FAMILY}-{step:010d}", tree)

    def restore(self, like: Any) -> SavedState | None:
        """The newest save, placed as `like` is; None if there is none that can be used."""
        leaves, structure = jax.tree.flatten(like)
        wanted = {"leaves": [abstract(leaf) for leaf in leaves], "seconds": np.zeros(1)}

        def read(saved: epath.Path) -> SavedState:
            tree = self._saves.load(saved, wanted)
            step = int(saved.name.rpartition("-")[2])
            return SavedState(step, jax.tree.unflatten(structure, tree["leaves"]), float(tree["seconds"][0]))

        return self._saves.restore(self._saves.complete(_FAMILY), read, "training starts from its beginning")

    def wait(self) -> None:
        """Waits for the save in the background."""
        self._saves.wait()

    def clear(self) -> None:
        """Removes every save; there is nothing to go on with afterwards."""
        self._saves.clear()
