"""How the state changes when a run gets more tasks or more phases (`munet extend`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from munet.config import Experiment, with_changes
from munet.errors import CorruptionError
from munet.evolution.evidence import Evidence
from munet.evolution.plan import Plan
from munet.evolution.search_space import values_of
from munet.evolution.state import State
from munet.evolution.transitions import begin_next
from munet.types import ExtendEntry

_ADVICE = "Restore the work directory or start in a new one."

# What phases may have otherwise than those before them: how much they try, among which settings, and which tasks are
# private from then on. All else would make of the run another one: its root, its score, its data, its draws.
MAY_DIFFER = (
    "num_task_iterations", "num_generations", "children_per_generation", "cycles_per_child", "stages",
    "images_per_task", "max_batches_per_cycle", "min_batches_per_cycle", "max_seed_parents", "search_space",
    "private_tasks",
)  # fmt: skip


def extended(state: State, plan: Plan, entry: ExtendEntry) -> State:
    """The state with the entry's phases behind those that were planned; of a complete run the first of them begins.

    Args:
      state: at the entry's position.
      plan: of the run before it.
      entry: what is new.

    Raises:
      CorruptionError: the entry does not follow on the state.
    """
    known, new = [task.name for task in plan.living], [task.name for task in entry.tasks]
    is_complete = plan.place(state.position) >= len(plan.phases)
    if not entry.phases:
        raise CorruptionError("The journal has a run extended by nothing.", _ADVICE)
    if repeated := [name for name, number in Counter([*known, *new]).items() if number > 1]:
        raise CorruptionError(f"The journal has a second task called {repeated[0]!r}.", _ADVICE)
    if unknown := [task for task in entry.phases if task not in (*known, *new)]:
        raise CorruptionError(f"The journal has a phase of {unknown[0]!r}, which is no task of the run.", _ADVICE)
    if idle := [task for task in new if task not in entry.phases]:
        raise CorruptionError(f"The journal has a new task {idle[0]!r} without a phase.", _ADVICE)
    if others := [name for name in entry.settings if name not in MAY_DIFFER]:
        raise CorruptionError(f"The journal has phases with another experiment.{others[0]}.", _ADVICE)
    if entry.settings and not is_complete:
        raise CorruptionError("The journal has other settings for phases behind ones that were still open.", _ADVICE)
    before = plan.settings[-1].experiment
    uris = (*before.tasks, *(task.uri for task in entry.tasks))
    experiment = replace(with_changes(before, entry.settings), tasks=uris)
    after = plan.extended(entry.tasks, entry.phases, experiment)
    state = replace(state, plan=after, evidence=_evidence(state.evidence, before, experiment))
    return begin_next(state, after, len(plan.phases)) if is_complete else state


def _evidence(evidence: Evidence, before: Experiment, after: Experiment) -> Evidence:
    """What earlier races say of the values that a setting may have now; nothing is known of new ones."""
    moved: dict[str, tuple[tuple[float, float], ...]] = {}
    for name, row in evidence.items():
        known = dict(zip(values_of(before, name), row, strict=True))
        moved[name] = tuple(known.get(value, (0.0, 0.0)) for value in values_of(after, name))
    return moved
