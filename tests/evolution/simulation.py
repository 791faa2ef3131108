"""Whole runs of the controller without training: a fake trainer that invents qualities and component ids.

Importable by other tests: `from tests.evolution.simulation import make_experiment, make_tasks, simulate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from munet import architecture
from munet.config import Defaults, Experiment, SearchSpace
from munet.evolution import schedule
from munet.evolution.controller import Controller
from munet.evolution.records import new_record
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
    JournalEntry,
    Leaf,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Quality,
    StartEntry,
    TaskInfo,
)

Trainer = Callable[[ChildPlan, int], CycleQualities]  # a child and its number of cycles -> what training it gave


def make_tasks(*num_classes: int) -> tuple[TaskInfo, ...]:
    """Tasks `task0`, `task1`, ... with these numbers of classes."""
    return tuple(
        TaskInfo(f"task{i}", f"builtin:task{i}", f"print{i}", tuple(str(c) for c in range(n)), 800, 100, 100)
        for i, n in enumerate(num_classes)
    )


def make_experiment(tasks: Sequence[TaskInfo], **changes: Any) -> Experiment:
    """The default experiment on `tasks` with some fields changed; the root is demo/16 with 3 blocks."""
    return replace(Experiment(tasks=tuple(task.uri for task in tasks)), **changes)


def component_id(record: ComponentRecord) -> ComponentId:
    """A stand-in for the hash over record and bytes: equal records, equal ids."""
    return hashlib.sha256(repr(record).encode()).hexdigest()


def leaves_of(
    experiment: Experiment, name: ComponentName, child: ChildPlan | None, num_classes: int
) -> dict[str, Leaf]:
    """Shapes of a component in a child, or in the root."""
    values = default_hyperparameters(experiment) if child is None else child.hyperparameters
    return architecture.component_leaves(
        architecture.get_variant(experiment.variant),
        name,
        image_size=int(values["image_size"]),
        adapter_dim=int(values["adapter_dim"]),
        num_classes=num_classes,
    )


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
    )
    return StartEntry(format_version=1, experiment={}, tasks=tuple(tasks), root=root, published=published)


def invent(child: ChildPlan, cycles: int, counted: int = 100) -> CycleQualities:
    """Qualities from a hash: uneven, rising with the cycle; about one child in sixteen diverges."""
    words = hashlib.sha256(f"{child.id} {child.task} {child.parent}".encode()).digest()
    qualities = tuple(Quality(words[i % 32] * (i + 1) * counted // (256 * cycles), counted) for i in range(cycles))
    return CycleQualities(qualities, diverged_at=words[31] % (cycles + 1) if words[30] < 16 else None)


def constant(correct: int, counted: int = 100) -> Trainer:
    """A trainer that gives every child the same quality in every cycle."""
    return lambda child, cycles: CycleQualities((Quality(correct, counted),) * cycles)


def publish(
    experiment: Experiment, state: State, child: ChildPlan, best_cycle: int, num_classes: int
) -> tuple[dict[ComponentName, ComponentId], dict[ComponentId, ComponentRecord]]:
    """A kept child's component ids by name, and the records it publishes, as the trainer makes them."""
    ids: dict[ComponentName, ComponentId] = {}
    published: dict[ComponentId, ComponentRecord] = {}
    for plan in child.components:
        if plan.action == "share":
            assert plan.source is not None
            ids[plan.name] = plan.source
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
    verdicts = controller.judge(state, plan, trainings)
    entries: list[ChildEntry] = []
    published: dict[ComponentId, ComponentRecord] = {}
    for child in plan.children:
        verdict = verdicts[child.id]
        ids: dict[ComponentName, ComponentId] = {}
        if verdict.is_kept:
            assert verdict.best_cycle is not None
            classes = controller.task(state).num_classes
            ids, new = publish(controller.experiment, state, child, verdict.best_cycle, classes)
            published |= new
        entries.append(ChildEntry(child, trainings[child.id], verdict, ChildCost(0, 0.0), ids))
    return GenerationEntry(plan.position, plan.task, tuple(entries), published, plan.data_mutations)


def next_entry(controller: Controller, state: State, trainer: Trainer = invent) -> GenerationEntry | PhaseEntry:
    """What a run would journal next."""
    if controller.is_phase_over(state):
        best = controller.best(state)
        return PhaseEntry(state.position, controller.task(state).name, best.id, Quality(best.id % 101, 100))
    plan = controller.ask(state)
    cycles = schedule.cycles_per_child(controller.experiment)
    return run_generation(controller, state, plan, {child.id: trainer(child, cycles) for child in plan.children})


@dataclass(frozen=True)
class Simulation:
    """A simulated run: `states[i]` is the state after `entries[i]`."""

    controller: Controller
    entries: tuple[JournalEntry, ...]
    states: tuple[State, ...]

    @property
    def final(self) -> State:
        """The last state."""
        return self.states[-1]


def simulate(
    experiment: Experiment,
    tasks: Sequence[TaskInfo],
    trainer: Trainer = invent,
    stop: Callable[[State], bool] = lambda _: False,
) -> Simulation:
    """Runs the controller until it is complete or `stop` says so."""
    controller = Controller(experiment, tasks)
    entries: list[JournalEntry] = [start_entry(experiment, tasks)]
    states = [initial_state(start_entry(experiment, tasks))]
    while not controller.is_complete(states[-1]) and not stop(states[-1]):
        entry = next_entry(controller, states[-1], trainer)
        entries.append(entry)
        states.append(controller.tell(states[-1], entry))
    return Simulation(controller, tuple(entries), tuple(states))


def search_space(experiment: Experiment, **changes: Any) -> Experiment:
    """The experiment with some lists of the search space (and their defaults, where not in the list) changed."""
    space: SearchSpace = replace(experiment.search_space, **changes)
    fixed = {name: values[0] for name, values in changes.items() if getattr(experiment.defaults, name) not in values}
    defaults: Defaults = replace(experiment.defaults, **fixed)
    return replace(experiment, search_space=space, defaults=defaults)
