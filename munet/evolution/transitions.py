"""How a journal entry changes the state: a judged generation, the end of a phase (Algorithm 1, lines 5-9, 47-54)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from munet.config import Experiment
from munet.evolution.draws import phase_draws
from munet.evolution.parents import seed_parents
from munet.evolution.schedule import is_baseline
from munet.evolution.state import State
from munet.types import (
    ChildEntry,
    ComponentId,
    GenerationEntry,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Position,
    TaskName,
)


def add_generation(state: State, entry: GenerationEntry) -> State:
    """Counts offspring, uses up seed parents, and lets the kept children into the active population."""
    models = dict(state.models)
    for child in entry.children:
        parent = models[child.plan.parent]
        if parent.task == entry.task:  # rejected children count too: they were created
            models[parent.id] = replace(parent, offspring=parent.offspring + 1)
    kept = [_model(child) for child in entry.children if child.verdict.is_kept]
    models |= {model.id: model for model in kept}
    used = {child.plan.parent for child in entry.children if child.plan.is_seed}
    published = {id: record for id, record in entry.published.items() if id not in state.components}
    return replace(
        state,
        position=replace(state.position, generation=state.position.generation + 1),
        models=models,
        components={**state.components, **published},
        active=(*state.active, *(model.id for model in kept)),
        seeds=tuple(seed for seed in state.seeds if seed not in used),
        next_model_id=state.next_model_id + len(entry.children),
    )


def close_phase(state: State, entry: PhaseEntry) -> State:
    """Leaves only the retained model of the active population; the position is not advanced."""
    dropped = {id: state.models[id] for id in state.active if id != entry.retained}
    models = {id: model for id, model in state.models.items() if id not in dropped}
    models[entry.retained] = replace(models[entry.retained], test_quality=entry.test_quality)
    for model in list(models.values()):
        if model.parent in dropped:
            models[model.id] = replace(model, parent=_nearest_ancestor(state, model, dropped))
    users = dict(state.users)
    previous = state.retained.get(entry.task)
    if previous is not None:
        _remove_user(users, entry.task, state.models[previous].components.values())
    _add_user(users, entry.task, models[entry.retained].components.values())
    gone = {id for model in dropped.values() for id in model.components.values() if id not in users}
    gone -= set(state.root.components.values())
    gone = {id for id in gone if state.components[id].origin != "root"}  # resizing starts from the checkpoint's own
    return replace(
        state,
        models=models,
        components={id: record for id, record in state.components.items() if id not in gone},
        users=users,
        retained={**state.retained, entry.task: entry.retained},
        active=(),
        seeds=(),
    )


def begin_phase(state: State, experiment: Experiment, position: Position, task: TaskName) -> State:
    """Makes `task` the active one: its previous best, if any, is the active population, the others are seeds."""
    models = dict(state.models)
    previous = state.retained.get(task)
    if previous is not None and experiment.fidelity.offspring_count == "per_activation":
        models[previous] = replace(models[previous], offspring=0)
    draws = phase_draws(experiment.seed, position, task)
    return replace(
        state,
        position=position,
        models=models,
        active=() if previous is None else (previous,),
        seeds=() if is_baseline(experiment) else seed_parents(state, experiment, task, draws),
    )


def _model(child: ChildEntry) -> ModelRecord:
    plan, cycle = child.plan, child.verdict.best_cycle
    return ModelRecord(
        id=plan.id,
        task=plan.task,
        parent=plan.parent,
        hyperparameters=plan.hyperparameters,
        components=child.components,
        quality=None if cycle is None else child.training.qualities[cycle],
        latency=child.latency,
    )


def _nearest_ancestor(state: State, model: ModelRecord, dropped: Iterable[ModelId]) -> ModelId:
    lineage = state.lineage(model.id)
    next(lineage)
    return next(ancestor.id for ancestor in lineage if ancestor.id not in dropped)


def _remove_user(users: dict[ComponentId, tuple[TaskName, ...]], task: TaskName, ids: Iterable[ComponentId]) -> None:
    for id in ids:
        remaining = tuple(user for user in users[id] if user != task)
        if remaining:
            users[id] = remaining
        else:
            del users[id]


def _add_user(users: dict[ComponentId, tuple[TaskName, ...]], task: TaskName, ids: Iterable[ComponentId]) -> None:
    for id in ids:
        users[id] = tuple(sorted((*users.get(id, ()), task)))
