"""Saves a generation that is still in training with Orbax, so that a restart continues inside it.

Published = store, in flight = here. A save happens at most every few minutes, after a cycle, and asynchronously; it
holds the whole state of every chunk, so that what continues is bit for bit what would have gone on. When a signal is to
end the run, a save is made wherever a cycle is by then (`save_part`). A run needs none of
it: a save that fails or does not fit is told and left aside, and the generation is trained from its beginning.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from etils import epath

from munet import rng
from munet.quality import Quality, Stratum
from munet.stopping import Signals
from munet.training.measure.validation import CycleScores
from munet.training.program.programs import ChildState
from munet.training.saves import Saves, Subject, abstract
from munet.types import ModelId

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class SaveKey:
    """What is in training, and in which shape: only a save of exactly this can go on.

    Attributes:
      path: key of the wave's batches, those of all its streams.
      ids: its children.
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
class SavedWave:
    """A wave as it was after `cycles` whole cycles and `steps` of the next."""

    cycles: int
    steps: int
    states: tuple[ChildState, ...]
    scores: CycleScores


class InFlight:
    """The training state of the one generation that is in training.

    Args:
      folder: where to save, absolute; removed by `clear` when the generation is committed.
      minutes: least time between two saves; 0 saves after every cycle.
      note: told what people should know: that saving failed (once), that a save cannot be used.
      clock: seconds, monotonic.
      is_last: whether the run is about to stop, so that a save is due in any case; asked once a cycle, due or not.
      signals: that may be held back until a save is made.
    """

    def __init__(
        self,
        folder: str,
        minutes: float,
        note: Callable[[str], None] = _LOGGER.warning,
        clock: Callable[[], float] = time.monotonic,
        is_last: Callable[[], bool] = lambda: False,
        signals: Signals | None = None,
    ):
        self._note, self._is_last = note, is_last
        self.signals = signals or Signals()
        subject = Subject("The generation in training", "the run")
        self._saves = Saves(folder, minutes, subject, note=note, clock=clock)

    def begin(self) -> None:
        """A generation begins: its first save is due when it is old enough itself."""
        self._saves.begin()

    def save(
        self,
        key: SaveKey,
        cycle: int,
        states: Sequence[ChildState],
        scores: CycleScores,
        ends_stream: bool = False,
    ) -> None:
        """Saves in the background if the last save is old enough; one that fails is told once, never raised.

        A wave whose streams are over while others of its generation follow is saved sooner.
        """
        is_last = self._is_last()  # asked in any case: who is asked remembers the answer
        is_due = self._saves.is_due_at_an_end if ends_stream else self._saves.is_due
        if is_due or is_last or self.signals.is_requested:
            self._save(key, _name(cycle + 1, 0), states, scores)

    def save_part(
        self, key: SaveKey, cycle: int, steps: int, states: Sequence[ChildState], scores: CycleScores
    ) -> None:
        """Saves a wave inside of a cycle, after `steps` of it, and waits for that: the run is about to end."""
        self._save(key, _name(cycle, steps), states, scores)
        self.wait()

    def _save(self, key: SaveKey, name: str, states: Sequence[ChildState], scores: CycleScores) -> None:
        ids = sorted(scores.qualities)
        table = [[_counts(quality) for quality in scores.qualities[item]] for item in ids]
        tree = {
            "states": [state._asdict() for state in states],
            "ids": np.array(ids, np.int64),
            # Orbax saves nothing that is empty: before the first cycle has ended there is a row of zeros.
            "qualities": np.array(table if table[0] else np.zeros((len(ids), 1, _width(key))), np.int64),
            "diverged": np.array([scores.diverged.get(item, -1) for item in ids], np.int64),
        }
        self._saves.save(key.prefix, f"{key.name}-{name}", tree)

    def restore(self, key: SaveKey, like: Sequence[ChildState]) -> SavedWave | None:
        """The newest complete save of `key`, placed as `like` is; None if there is none that can be used."""
        complete = [item for item in self._saves.complete(key.prefix) if _progress(item)]
        fitting = [item for item in complete if item.name.startswith(f"{key.name}-")]
        if complete and not fitting:
            self._note(
                "The generation in training was saved with its children grouped otherwise (other devices, "
                "children_per_dispatch or version); it is trained from its beginning."
            )
        instead = "the generation is trained from its beginning"
        return self._saves.restore(fitting, lambda saved: _load(self._saves, saved, key, like), instead)

    @property
    def has_failed(self) -> bool:
        """Whether the last save that was begun has failed, once it was waited for."""
        return self._saves.has_failed

    def clear(self) -> None:
        """Removes every save: the generation is committed."""
        self._saves.clear()

    def wait(self) -> None:
        """Waits for the save in the background."""
        self._saves.wait()


def _load(saves: Saves, saved: epath.Path, key: SaveKey, like: Sequence[ChildState]) -> SavedWave:
    """Reads a save.

    Raises:
      Exception: of any type, from Orbax and TensorStore: it is damaged, or has other arrays.
    """
    cycles, steps = _progress(saved) or (0, 0)
    # NumPy leaves say "on the host" to Orbax.
    row = np.zeros(len(key.ids), np.int64)
    table = np.zeros((len(key.ids), max(cycles, 1), _width(key)), np.int64)
    wanted = {
        "states": [jax.tree.map(abstract, state._asdict()) for state in like],
        "ids": row,
        "qualities": table,
        "diverged": row,
    }
    tree = saves.load(saved, wanted)
    found = [int(item) for item in tree["ids"]]
    if found != sorted(key.ids):
        raise ValueError(f"it holds children {found}, not {sorted(key.ids)}")
    return SavedWave(
        cycles,
        steps,
        tuple(ChildState(**state) for state in tree["states"]),
        CycleScores(
            {
                item: tuple(_quality(counts) for counts in rows[:cycles])
                for item, rows in zip(found, np.asarray(tree["qualities"]).tolist(), strict=True)
            },
            {item: int(at) for item, at in zip(found, tree["diverged"], strict=True) if at >= 0},
        ),
    )


def _counts(quality: Quality) -> list[int]:
    """A quality as a row of integers."""
    strata = [number for item in quality.strata for number in (item.size, item.classes, item.correct)]
    return [quality.correct, quality.counted, *strata]


def _quality(counts: list[int]) -> Quality:
    """The quality that `_counts` made `counts` from."""
    strata = tuple(Stratum(*counts[start : start + 3]) for start in range(2, len(counts), 3))
    return Quality(counts[0], counts[1], strata)


def _width(key: SaveKey) -> int:
    """The integers of a quality."""
    return 2 + 3 * key.num_strata


def _name(cycles: int, steps: int) -> str:
    """The end of a save's name: the last whole cycle, from 0, and the steps after it. Later ones sort behind."""
    return (f"{cycles - 1:06d}" if cycles else "") + (f"+{steps:08d}" if steps or not cycles else "")


def _progress(saved: epath.Path) -> tuple[int, int] | None:
    """Whole cycles, and steps of the next, of a save; None if it is not called as `_name` does."""
    found = re.fullmatch(r"(\d*)(?:\+(\d+))?", saved.name.rsplit("-", 1)[1])
    return (int(found[1]) + 1 if found[1] else 0, int(found[2] or 0)) if found else None
