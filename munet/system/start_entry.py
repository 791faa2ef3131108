"""What the first entry of a run's journal holds: how the run began."""

from __future__ import annotations

from munet.config import Experiment
from munet.errors import CorruptionError
from munet.store import Store, codec
from munet.types import StartEntry


def read_start(store: Store) -> StartEntry:
    """The journal's first entry.

    Raises:
      CorruptionError: it is missing or damaged.
    """
    first = next(store.journal.entries(), None)
    if not isinstance(first, StartEntry):
        raise CorruptionError(
            f"The journal of {store.path} does not begin with its start entry: restore it from a copy."
        )
    return first


def read_experiment(start: StartEntry) -> Experiment:
    """The configuration that the journal's first entry holds.

    Raises:
      CorruptionError: its fields are not those of this version of munet.
    """
    return codec.from_json(Experiment, start.experiment, "The experiment in the journal's first entry")
