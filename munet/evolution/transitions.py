"""How a journal entry changes the state: a judged generation, the end of a phase (Algorithm 1, lines 5-9, 47-54)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from munet.config import Experiment
from munet.evolution.ancestry import Ancestry
from munet.evolution.parents import best_fitting, seed_parents
from munet.evolution.plan import Plan
from munet.evolution.schedule import is_baseline
from munet.evolution.sorted_map import SortedMap
from munet.evolution.state import State, phase_draws, root_positions
from munet.types import (
    ChildEntry,
    ComponentId,
    GenerationEntry,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Position,
    SeedsEntry,
    TaskName,
)

_MOST_FORMER = 64  # models that are gone, beside as many as there are, before the ancestry is made anew without them


def choose_seeds(state: State, experiment: Experiment, entry: SeedsEntry) -> State:
    """Leaves only those of the candidates that fit best."""
    return replace(
        state,
        seeds=best_fitting(state, experiment, entry.fits),
        phase_images=state.phase_images + entry.image_steps,
    )


def add_generation(state: State, entry: GenerationEntry) -> State:
    """Counts offspring, uses up seed parents, and lets the kept children into the active population."""
    models: dict[ModelId, ModelRecord] = {}
    for child in entry.children:
        parent = models.get(child.plan.parent) or state.models[child.plan.parent]
        if parent.task == entry.task:  # rejected children count too: they were created
            models[parent.id] = replace(parent, offspring=parent.offspring + 1)
    kept = [_model(child) for child in entry.children if child.verdict.is_kept]
    heirs: dict[ModelId, tuple[ModelId, ...]] = {}
    for model in kept:
        if model.parent:
            known = heirs[model.parent] if model.parent in heirs else state.heirs.get(model.parent, ())
            heirs[model.parent] = (*known, model.id)
    used = {child.plan.parent for child in entry.children if child.plan.is_seed}
    published = {id: record for id, record in entry.published.items() if id not in state.components}
    components = state.components.changed(published)
    return replace(
        state,
        position=replace(state.position, generation=state.position.generation + 1),
        models=state.models.changed(models | {model.id: model for model in kept}),
        components=components,
        active=(*state.active, *(model.id for model in kept)),
        seeds=tuple(seed for seed in state.seeds if seed not in used),
        next_model_id=state.next_model_id + len(entry.children),
        heirs=state.heirs.changed(heirs),
        positions=tuple(sorted((*state.positions, *root_positions(published)))),
        ancestry=state.ancestry.changed(kept, components),
        phase_images=state.phase_images + sum(child.cost.image_steps for child in entry.children),
    )


def close_phase(state: State, entry: PhaseEntry) -> State:
    """Leaves only the retained model of the active population; the position is not advanced."""
    dropped = {id: state.models[id] for id in state.active if id != entry.retained}
    models = {entry.retained: replace(state.models[entry.retained], test_quality=entry.test_quality)}
    orphans = {heir for id in dropped for heir in state.heirs.get(id, ()) if heir not in dropped}
    for id in orphans:
        model = models.get(id) or state.models[id]
        models[id] = replace(model, parent=_nearest_ancestor(state, model, dropped))
    users = _users(state, entry)
    in_use = state.num_users.changed(
        {id: count for id, count in users.items() if count}, [id for id, count in users.items() if not count]
    )
    gone = {id for id in state.components_of(dropped) if id not in in_use}
    gone -= set(state.root.components.values())
    gone = {id for id in gone if state.components[id].origin != "root"}  # resizing starts from the checkpoint's own
    after = replace(
        state,
        models=state.models.changed(models, dropped),
        components=state.components.changed({}, gone),
        retained=state.retained.changed({entry.task: entry.retained}),
        active=(),
        seeds=(),
        num_users=in_use,
        heirs=_heirs(state, dropped, [models[id] for id in orphans]),
        positions=tuple(id for id in state.positions if id not in gone),
        phase_images=0,
    )
    return replace(after, ancestry=_ancestry(state, after, dropped, entry.retained))


def begin_phase(state: State, experiment: Experiment, position: Position, task: TaskName) -> State:
    """Makes `task` the active one: its previous best, if any, is the active population, the others are seeds."""
    previous = state.retained.get(task)
    if previous is not None and experiment.fidelity.offspring_count == "per_activation":
        state = replace(state, models=state.models.changed({previous: replace(state.models[previous], offspring=0)}))
    draws = phase_draws(experiment.seed, position, task)
    return replace(
        state,
        position=position,
        phase_images=0,
        active=() if previous is None else (previous,),
        seeds=() if is_baseline(experiment) else seed_parents(state, experiment, task, draws),
    )


def begin_next(state: State, plan: Plan, place: int) -> State:
    """Begins the phase that has `place` others before it; behind the last one the run is complete."""
    position = plan.begin(place)
    if place >= len(plan.phases):
        return replace(state, position=position)
    return begin_phase(state, plan.settings_at(position).experiment, position, plan.tasks[position.task_index].name)


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


def _users(state: State, entry: PhaseEntry) -> dict[ComponentId, int]:
    """The users of what the active task's model used before the end of the phase, and of what it uses then."""
    previous = state.retained.get(entry.task)
    before = () if previous is None else state.used_by(state.models[previous])
    change = Counter(state.used_by(state.models[entry.retained]))
    change.subtract(before)
    return {id: state.num_users.get(id, 0) + number for id, number in change.items()}


def _heirs(
    state: State, dropped: Mapping[ModelId, ModelRecord], orphans: Iterable[ModelRecord]
) -> SortedMap[ModelId, tuple[ModelId, ...]]:
    """Who has which heirs once some models are gone and their heirs have other parents."""
    changes: dict[ModelId, set[ModelId]] = {}

    def heirs(parent: ModelId) -> set[ModelId]:
        return changes.setdefault(parent, set(state.heirs.get(parent, ())))

    for model in dropped.values():
        if model.parent and model.parent not in dropped:
            heirs(model.parent).discard(model.id)
    for model in orphans:
        if model.parent:
            heirs(model.parent).add(model.id)
    return state.heirs.changed(
        {id: tuple(sorted(found)) for id, found in changes.items() if found},
        [id for id in (*changes, *dropped) if id in state.heirs and not changes.get(id)],
    )


def _ancestry(state: State, after: State, dropped: Mapping[ModelId, ModelRecord], retained: ModelId) -> Ancestry:
    """The ancestry at the end of a phase: `state` before it, `after` with all but this."""
    previous = state.retained.get(state.models[retained].task or "")
    # The task's last model may have descendants of other tasks; its new ones have none but each other.
    gone = [id for id in dropped if id != previous]
    if len(state.ancestry.steps) - len(gone) > 2 * len(after.models) + _MOST_FORMER:
        return Ancestry.of(after.models, after.components)
    return state.ancestry.changed([after.models[retained]] if retained != previous else [], after.components, gone)
