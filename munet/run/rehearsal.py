"""A run without training: the controller with invented qualities and component ids, for dry runs and tests.

What the children of a real run will be is not known before it; what they are in a rehearsal has the same rules, and so
about the same mix of shallow and deep training, adapters and image sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from munet.config import Experiment
from munet.evolution import costs, schedule
from munet.evolution.controller import Controller
from munet.evolution.records import new_record, publishes
from munet.evolution.search_space import default_hyperparameters
from munet.evolution.state import State, initial_state
from munet.types import (
    ROOT_MODEL,
    ChildCost,
    ChildEntry,
    ChildPlan,
    ComponentId,
    ComponentName,
    ComponentPlan,
    ComponentRecord,
    CycleQualities,
    GenerationEntry,
    GenerationPlan,
    Leaf,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Quality,
    SeedsEntry,
    StartEntry,
    TaskInfo,
)
from munet.vit import architecture

Invention = Callable[[ChildPlan, int], CycleQualities]  # a child and its number of cycles -> what training it gave


class InventedChild(NamedTuple):
    """A child of which only is said what the controller asks."""

    training: CycleQualities
    latency: float | None = None


def plans(
    experiment: Experiment, tasks: Sequence[TaskInfo], invention: Invention | None = None
) -> Iterator[GenerationPlan]:
    """Every generation of a rehearsed run, in order; arguments as for `next_entry`."""
    return plans_from(Controller(experiment, tasks), initial_state(start_entry(experiment, tasks)), invention)


def plans_from(controller: Controller, state: State, invention: Invention | None = None) -> Iterator[GenerationPlan]:
    """Every generation that a run has still to train from a state on, rehearsed; arguments as for `next_entry`."""
    while not controller.is_complete(state):
        trains = not controller.is_phase_over(state) and controller.stage(state).trains
        entry = next_entry(controller, state, invention or invent)
        if isinstance(entry, GenerationEntry) and trains:
            children = tuple(child.plan for child in entry.children)
            yield GenerationPlan(entry.position, entry.task, children, entry.data_mutations)
        state = controller.tell(state, entry)


def component_id(record: ComponentRecord) -> ComponentId:
    """A stand-in for the hash over record and bytes: equal records, equal ids."""
    return hashlib.sha256(repr(record).encode()).hexdigest()


def leaves_of(
    experiment: Experiment, name: ComponentName, child: ChildPlan | None, num_classes: int
) -> dict[str, Leaf]:
    """Shapes of a component in a child, or in the root."""
    values = default_hyperparameters(experiment) if child is None else child.hyperparameters
    return architecture.model_leaves(architecture.get_variant(experiment.variant), name, values, num_classes)


def start_entry(experiment: Experiment, tasks: Sequence[TaskInfo]) -> StartEntry:
    """The first journal entry of a run."""
    names = [name for name in architecture.path_names(experiment.num_blocks) if name != architecture.HEAD]
    records = [ComponentRecord(name, leaves_of(experiment, name, None, 0), "root") for name in names]
    published = {component_id(record): record for record in records}
    root = ModelRecord(
        id=ROOT_MODEL,
        task=None,
        parent=None,
        hyperparameters=default_hyperparameters(experiment),
        components=dict(zip(names, published, strict=True)),
        latency=1.0 if experiment.latency_factor < 1 else None,
    )
    return StartEntry(format_version=1, experiment={}, tasks=tuple(tasks), root=root, published=published)


def invent(child: ChildPlan, cycles: int, counted: int = 100) -> CycleQualities:
    """Qualities from a hash: uneven, rising with the cycle; about one child in sixteen diverges."""
    words = hashlib.sha256(f"{child.id} {child.task} {child.parent}".encode()).digest()
    qualities = tuple(Quality(words[i % 32] * (i + 1) * counted // (256 * cycles), counted) for i in range(cycles))
    return CycleQualities(qualities, diverged_at=words[31] % (cycles + 1) if words[30] < 16 else None)


def publish(
    experiment: Experiment, state: State, child: ChildPlan, best_cycle: int, num_classes: int
) -> tuple[dict[ComponentName, ComponentId], dict[ComponentId, ComponentRecord]]:
    """A kept child's component ids by name, and the records it publishes, as the trainer makes them."""
    ids: dict[ComponentName, ComponentId] = {}
    published: dict[ComponentId, ComponentRecord] = {}
    for plan in child.components:
        if not publishes(plan):
            ids[plan.name] = plan.source or ""
            continue
        leaves = leaves_of(experiment, plan.name, child, num_classes)
        resized = None
        if plan.action == "resize" and plan.trainable:
            resized = component_id(
                new_record(state, child, ComponentPlan(plan.name, "resize", plan.source, False), 0, leaves)
            )
        record = new_record(state, child, plan, best_cycle, leaves, resized)
        ids[plan.name] = component_id(record)
        published[ids[plan.name]] = record
    return ids, published


def run_generation(
    controller: Controller, state: State, plan: GenerationPlan, trainings: Mapping[ModelId, CycleQualities]
) -> GenerationEntry:
    """Judges and records a generation whose training gave `trainings`."""
    classes = controller.task(state).num_classes
    experiment = controller.experiment_at(state)
    latencies = _latencies(experiment, plan, classes)
    images_per_cycle = schedule.images_per_cycle(experiment, controller.task(state))
    results = {id: InventedChild(training, latencies.get(id)) for id, training in trainings.items()}
    verdicts = controller.judge(state, plan, results)
    entries: list[ChildEntry] = []
    published: dict[ComponentId, ComponentRecord] = {}
    for child in plan.children:
        verdict = verdicts[child.id]
        ids: dict[ComponentName, ComponentId] = {}
        if verdict.is_kept and verdict.best_cycle is not None:
            ids, new = publish(experiment, state, child, verdict.best_cycle, classes)
            published |= new
        cost = ChildCost(len(trainings[child.id].qualities) * images_per_cycle, 0.0)
        entries.append(ChildEntry(child, trainings[child.id], verdict, cost, ids, latencies.get(child.id)))
    return GenerationEntry(plan.position, plan.task, tuple(entries), published, plan.data_mutations)


def _latencies(experiment: Experiment, plan: GenerationPlan, num_classes: int) -> dict[ModelId, float]:
    """As if time were arithmetic, the root's being 1; empty where latency does not count."""
    return {
        child.id: costs.relative_flops(
            experiment, [part.name for part in child.components], child.hyperparameters, num_classes
        )
        for child in (plan.children if experiment.latency_factor < 1 else ())
    }


def invent_fits(controller: Controller, state: State) -> SeedsEntry:
    """The fit of every candidate from a hash."""
    task = controller.task(state).name
    words = {seed: hashlib.sha256(f"{seed} {task}".encode()).digest() for seed in state.seeds}
    return SeedsEntry(state.position, task, {seed: word[0] / 256 for seed, word in words.items()})


def next_entry(
    controller: Controller, state: State, invention: Invention = invent
) -> SeedsEntry | GenerationEntry | PhaseEntry:
    """What a run would journal next, if training gave what `invention` says."""
    if controller.seed_candidates(state):
        return invent_fits(controller, state)
    if controller.is_phase_over(state):
        best = controller.best(state)
        return PhaseEntry(state.position, controller.task(state).name, best.id, Quality(best.id % 101, 100))
    plan = controller.ask(state)
    cycles = controller.cycles(state)
    return run_generation(controller, state, plan, {child.id: invention(child, cycles) for child in plan.children})
