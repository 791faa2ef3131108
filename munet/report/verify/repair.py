"""`munet verify --repair`: takes a damaged newest entry out of a journal, where what came before it suffices.

Of the newest entry nothing but itself is left to say what it held; the run makes it again, on the same layout bit for
bit. It does not suffice where files that the state before it needs were collected after it was written.
"""

from __future__ import annotations

from collections.abc import Iterator

from munet.errors import CorruptionError, UserError, WorkdirError
from munet.evolution.controller import Controller
from munet.evolution.state import State
from munet.store import Store
from munet.system import replay
from munet.system.replay import RunState
from munet.system.start_entry import read_experiment
from munet.types import ROOT_MODEL, ComponentId, ModelRecord, StartEntry


def repair(workdir: str) -> str:
    """Drops the newest entry of a run's journal if it is damaged and all before it is sound.

    Args:
      workdir: of the run, which must not be going on.

    Raises:
      UserError: there is no run, or more is damaged than that; the message says what. Nothing is changed then.

    Returns:
      What was done, for people.
    """
    store = Store(workdir)
    length = len(store.journal)
    if not length:
        Store.open(workdir)  # which says that there is no run
    with store.lock():
        error, controller, folded = _sound(store)
        if error is None:
            return f"The journal of {store.path} is sound: nothing was changed."
        sound = 0 if folded is None else folded.length
        if controller is None or folded is None or sound < length - 1:
            raise CorruptionError(
                f"{error.text} Entry {sound} of {length} is the first that is damaged, and dropping the newest one "
                "does not mend it: nothing was changed.",
                "Restore the journal/ folder from a copy, or start again in a new work directory.",
            )
        if problem := _missing(store, controller, folded.state):
            raise CorruptionError(
                f"{error.text} Without it the run cannot go on: {problem} Nothing was changed.",
                "Restore the entry from a copy of the work directory.",
            )
        kept = store.journal.drop_last()
    position, task = folded.state.position, controller.task(folded.state).name
    return (
        f"{error.text} It was the newest of {length} entries, and the {sound} before it suffice: it was dropped (its "
        f"bytes are kept as {kept}). `munet evolve` with the run's options goes on in task iteration "
        f"{position.task_iteration}, task {task}, generation {position.generation}."
    )


def _sound(store: Store) -> tuple[UserError | None, Controller | None, RunState | None]:
    """The first entry's error, and what the entries before it give; no error: all are sound."""
    controller: Controller | None = None
    folded: RunState | None = None
    try:
        for entry in store.journal.entries():
            if isinstance(entry, StartEntry):
                controller = Controller(read_experiment(entry), entry.tasks)
            if controller is None:
                raise CorruptionError(f"The journal of {store.path} does not begin with its start entry.")
            folded = replay.fold(controller, folded, entry, store)
    except WorkdirError:  # of a newer munet, which is no damage
        raise
    except UserError as error:
        return error, controller, folded
    return None, controller, folded


def _missing(store: Store, controller: Controller, state: State) -> str:
    """Which component is not there, or damaged, without which the run cannot go on from a state; "": none."""
    for identity in sorted(set(_needed(controller, state))):
        try:
            store.components.verify(identity)
        except CorruptionError as error:
            return error.text
    return ""


def _needed(controller: Controller, state: State) -> Iterator[ComponentId]:
    """Components of all models; at a phase's end, of its active population only those of the best one."""
    models: list[ModelRecord] = [state.models[id] for task, id in state.retained.items() if id not in state.active]
    if state.active and controller.is_phase_over(state):
        models.append(controller.best(state))
    else:
        models += [state.models[id] for id in state.active]
    for model in [state.models[ROOT_MODEL], *models]:
        yield from state.used_by(model)
    yield from (id for id, record in state.components.items() if record.origin == "root")
