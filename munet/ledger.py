"""The journal folded: the controller's state and the run's totals (DESIGN decision 4: resuming is replaying).

A snapshot is a ledger as JSON; it only saves time, and one that does not fit the journal is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from munet import codec
from munet.errors import CorruptionError
from munet.evolution import costs
from munet.evolution.controller import Controller
from munet.evolution.state import State, initial_state
from munet.store.workdir import Store
from munet.types import GenerationEntry, JournalEntry, StartEntry


@dataclass(frozen=True)
class Ledger:
    """What a run knows after some number of journal entries.

    Attributes:
      state: the controller's.
      length: journal entries folded.
      generations: of them, generations.
      image_steps: training images seen, all children together.
      programs: signatures of the train programs used so far, sorted; they decide how later children are grouped.
      latencies: measured seconds an image by `costs.structure`, where the score counts them.
    """

    state: State
    length: int = 1
    generations: int = 0
    image_steps: int = 0
    programs: tuple[str, ...] = ()
    latencies: Mapping[str, float] = field(default_factory=dict)


def fold(controller: Controller, ledger: Ledger | None, entry: JournalEntry) -> Ledger:
    """The ledger after one more entry.

    Raises:
      CorruptionError: the entry does not follow on the ledger.
    """
    if isinstance(entry, StartEntry):
        return Ledger(initial_state(entry))
    if ledger is None:
        raise CorruptionError("The journal does not begin with its start entry: restore it, or start a new run.")
    after = replace(ledger, state=controller.tell(ledger.state, entry), length=ledger.length + 1)
    if not isinstance(entry, GenerationEntry):
        return after
    spent = [child.cost for child in entry.children]
    num_classes = controller.task(ledger.state).num_classes
    measured = {
        costs.structure([part.name for part in child.plan.components], child.plan.hyperparameters, num_classes): time
        for child in entry.children
        if (time := child.latency) is not None
    }
    return replace(
        after,
        generations=ledger.generations + 1,
        image_steps=ledger.image_steps + sum(cost.image_steps for cost in spent),
        programs=tuple(sorted({*ledger.programs, *(cost.program for cost in spent)})),
        latencies={**ledger.latencies, **measured},
    )


def load(controller: Controller, store: Store) -> Ledger:
    """The ledger of a work directory: its newest snapshot that fits, and the journal from there on.

    Raises:
      CorruptionError: the journal is empty or damaged.
    """
    ledger = _snapshot(store)
    for entry in store.journal.entries(start=0 if ledger is None else ledger.length):
        ledger = fold(controller, ledger, entry)
    if ledger is None:
        raise CorruptionError(f"The journal of {store.path} is empty: start the run again.")
    return ledger


def _snapshot(store: Store) -> Ledger | None:
    snapshot = store.snapshots.latest(store.journal)
    if snapshot is None:
        return None
    try:
        return codec.from_json(Ledger, snapshot[1], "snapshot")
    except CorruptionError:  # written by a version with other fields: the journal has it all
        return None


def save_snapshot(ledger: Ledger, store: Store) -> None:
    """Keeps the ledger so that the next start replays less."""
    store.snapshots.save(ledger.length, store.journal.head_hash, codec.to_json(ledger))
