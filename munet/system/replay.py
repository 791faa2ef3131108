"""The journal folded: the controller's state and the run's totals (resuming is replaying: docs/design.md).

A snapshot is a run's state as JSON; it only saves time, and one that does not fit the journal is ignored. It is as
large as the system, so the larger that is, the more children lie between two: what a child costs stays the same, and
so does the share of the journal that the next start reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from munet.errors import CorruptionError
from munet.evolution import costs
from munet.evolution.controller import Controller
from munet.evolution.sorted_map import SortedMap
from munet.evolution.state import State, initial_state
from munet.store import codec
from munet.store.store import Store
from munet.system import sound, state_file
from munet.types import (
    CompressionEntry,
    ForgetEntry,
    GenerationEntry,
    JournalEntry,
    ModelId,
    PhaseEntry,
    SeedsEntry,
    StartEntry,
    TaskName,
)

# A snapshot is due when a quarter as many children have come since the last one as there are models: to fold a child
# again takes some ten times as long as to read a model.
CHILDREN_PER_MODEL = 0.25
_KEYS = {"length", "generations", "image_steps", "programs", "latencies", "measured_at", "state"}  # of a snapshot


@dataclass(frozen=True)
class RunState:
    """What a run knows after some number of journal entries.

    Attributes:
      state: the controller's.
      length: journal entries folded.
      generations: of them, generations.
      image_steps: training images seen, all children together.
      programs: signatures of the train programs used so far, sorted; they decide how later children are grouped.
      latencies: measured seconds an image by `costs.structure`, where the score counts them.
      measured_at: for each task the place in the journal of the entry that measured its retained model.
      saved_at: the id of the next child when the last snapshot was taken; 0: there is none. No part of what is known.
    """

    state: State
    length: int = 1
    generations: int = 0
    image_steps: int = 0
    programs: tuple[str, ...] = ()
    latencies: SortedMap[str, float] = field(default_factory=SortedMap)
    measured_at: SortedMap[TaskName, int] = field(default_factory=SortedMap)
    saved_at: ModelId = field(default=0, compare=False)


def tell(controller: Controller, run_state: RunState | None, entry: JournalEntry) -> RunState:
    """The run state after one more entry.

    Raises:
      CorruptionError: the entry does not follow on the run state.
    """
    if isinstance(entry, StartEntry):
        return RunState(initial_state(entry))
    if run_state is None:
        raise CorruptionError("The journal does not begin with its start entry.", "Restore it, or start a new run.")
    of_phase = isinstance(entry, SeedsEntry | GenerationEntry | PhaseEntry)
    sound.check(entry, controller.task(run_state.state).num_classes if of_phase else 0)
    after = replace(run_state, state=controller.tell(run_state.state, entry), length=run_state.length + 1)
    if tasks := _measured(entry):
        return replace(after, measured_at=run_state.measured_at.changed(dict.fromkeys(tasks, run_state.length)))
    if isinstance(entry, SeedsEntry):
        return replace(after, image_steps=run_state.image_steps + entry.image_steps)
    if isinstance(entry, ForgetEntry):
        return replace(after, measured_at=run_state.measured_at.changed({}, [entry.task]))
    if not isinstance(entry, GenerationEntry):
        return after
    spent = [child.cost for child in entry.children]
    num_classes = controller.task(run_state.state).num_classes
    measured = {
        costs.structure([part.name for part in child.plan.components], child.plan.hyperparameters, num_classes): time
        for child in entry.children
        if (time := child.latency) is not None
    }
    return replace(
        after,
        generations=run_state.generations + 1,
        image_steps=run_state.image_steps + sum(cost.image_steps for cost in spent),
        programs=tuple(sorted({*run_state.programs, *(cost.program for cost in spent if cost.program)})),
        latencies=run_state.latencies.changed(measured) if measured else run_state.latencies,
    )


def _measured(entry: JournalEntry) -> tuple[TaskName, ...]:
    """The tasks whose retained models are in an entry for the first time."""
    if isinstance(entry, PhaseEntry):
        return (entry.task,)
    return tuple(model.measured.task for model in entry.models) if isinstance(entry, CompressionEntry) else ()


def load(controller: Controller, store: Store) -> RunState:
    """The run state of a work directory: its newest snapshot that fits, and the journal from there on.

    Raises:
      CorruptionError: the journal is empty or damaged.
    """
    run_state = _snapshot(store)
    for entry in store.journal.entries(start=0 if run_state is None else run_state.length):
        run_state = fold(controller, run_state, entry, store)
    if run_state is None:
        raise CorruptionError(f"The journal of {store.path} is empty: start the run again.")
    return run_state


def fold(controller: Controller, run_state: RunState | None, entry: JournalEntry, store: Store) -> RunState:
    """As `tell`, of an entry that was read: one that names what is not there, or makes no sense, is damaged.

    Raises:
      CorruptionError: it does not follow on the run state.
    """
    length = 0 if run_state is None else run_state.length
    with sound.stumbles_named(f"{store.journal.path}/{length:08d}.json"):
        return tell(controller, run_state, entry)


def _snapshot(store: Store) -> RunState | None:
    snapshot = store.snapshots.latest(store.journal)
    if snapshot is None:
        return None
    try:
        return from_json(snapshot[1])
    except CorruptionError:  # written by a version with other fields: the journal has it all
        return None


def save_snapshot(run_state: RunState, store: Store, *, is_last: bool = False) -> RunState:
    """Keeps the run state if that is due, so that the next start replays less; returns it with that noted.

    Args:
      run_state: at the end of a phase.
      store: the run's.
      is_last: there will be no other: it is due in any case.
    """
    state = run_state.state
    if not is_last and state.next_model_id - run_state.saved_at < CHILDREN_PER_MODEL * len(state.models):
        return run_state
    store.snapshots.save(run_state.length, store.journal.head_hash, to_json(run_state))
    return replace(run_state, saved_at=state.next_model_id)


def to_json(run_state: RunState) -> dict[str, Any]:
    """What a snapshot holds."""
    return {
        "length": run_state.length,
        "generations": run_state.generations,
        "image_steps": run_state.image_steps,
        "programs": list(run_state.programs),
        "latencies": dict(run_state.latencies),
        "measured_at": dict(run_state.measured_at),
        "state": state_file.to_json(run_state.state),
    }


def from_json(data: Any) -> RunState:
    """The run state that `to_json` made `data` from.

    Raises:
      CorruptionError: it was made by another version.
    """
    if not isinstance(data, dict) or data.keys() != _KEYS:
        raise CorruptionError("This is no state of a run as this version of munet writes it.")
    state = state_file.from_json(data["state"])
    programs, latencies, measured = data["programs"], data["latencies"], data["measured_at"]
    if not isinstance(programs, list) or not isinstance(latencies, dict) or not isinstance(measured, dict):
        raise CorruptionError("The programs and latencies of this state are not as this version of munet writes them.")
    return RunState(
        state,
        length=codec.from_json(int, data["length"]),
        generations=codec.from_json(int, data["generations"]),
        image_steps=codec.from_json(int, data["image_steps"]),
        programs=tuple(codec.from_json(str, program) for program in programs),
        latencies=SortedMap({name: codec.from_json(float, time) for name, time in latencies.items()}),
        measured_at=SortedMap({name: codec.from_json(int, place) for name, place in measured.items()}),
        saved_at=state.next_model_id,
    )
