"""How the state changes when a complete run forgets a task (`munet forget`)."""

from __future__ import annotations

from dataclasses import replace

from munet.errors import CorruptionError
from munet.evolution.plan import Plan
from munet.evolution.replacing import nearest_kept, without_unused
from munet.evolution.state import State
from munet.types import ForgetEntry


def forgotten(state: State, plan: Plan, entry: ForgetEntry) -> State:
    """The state without the task, its model, and the components that no other model uses.

    Models that descend from its model descend from the nearest ancestor that stays; what they share with it stays
    theirs, and its history too.

    Raises:
      CorruptionError: the task has no such model.
    """
    if state.retained.get(entry.task) != entry.retained or entry.task not in {task.name for task in plan.living}:
        raise CorruptionError(
            f"The journal forgets model {entry.retained} of {entry.task!r}: expected its retained model, "
            f"{state.retained.get(entry.task)}.",
            "Restore the work directory or start in a new one.",
        )
    gone = {entry.retained}
    models = {
        id: replace(model, parent=nearest_kept(state, model, gone))
        for id, model in state.models.items()
        if id not in gone
    }
    after = State.of(
        position=state.position,
        models=models,
        components=dict(state.components),
        retained={task: model for task, model in state.retained.items() if task != entry.task},
        active=state.active,
        seeds=state.seeds,
        next_model_id=state.next_model_id,
        evidence=state.evidence,
        plan=plan.without(entry.task, state.next_model_id),
    )
    return without_unused(after)
