"""States built by hand, model by model, for tests of one rule at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from munet.config import Experiment
from munet.evolution.search_space import default_hyperparameters
from munet.evolution.state import State
from munet.rng import Draws
from munet.types import (
    ROOT_MODEL,
    ChildPlan,
    ComponentId,
    ComponentName,
    ComponentPlan,
    ComponentRecord,
    ModelId,
    ModelRecord,
    Position,
    Quality,
    TaskInfo,
    TaskName,
)
from munet.vit import architecture
from tests.evolution.simulation import start_entry


class World:
    """A root and models added to it; component ids read `encoderblock_1@3`: of model 3."""

    def __init__(self, experiment: Experiment, tasks: Collection[TaskInfo]):
        self.experiment = experiment
        self.tasks = {task.name: task for task in tasks}
        start = start_entry(experiment, tuple(tasks))
        records = {name: start.published[id] for name, id in start.root.components.items()}
        self.components = {f"{name}@0": record for name, record in records.items()}
        self.models = {ROOT_MODEL: replace(start.root, components={name: f"{name}@0" for name in records})}
        self.retained: dict[TaskName, ModelId] = {}
        self.active: list[ModelId] = []

    def add(
        self,
        task: str,
        parent: ModelId = ROOT_MODEL,
        *,
        own: Collection[ComponentName] = (),
        blocks: int | None = None,
        adapters: Collection[int] = (),
        loras: Collection[int] = (),
        retained: bool = True,
        active: bool = False,
        quality: int = 50,
        offspring: int = 0,
        **hyperparameters: Any,
    ) -> ModelId:
        """Adds a model that owns its head, what `own` names and what its parent lacks; the rest is shared.

        It is its task's retained model, in the active population, or both.
        """
        id = max(self.models) + 1
        values = {**default_hyperparameters(self.experiment), **hyperparameters}
        num_blocks = self.experiment.num_blocks if blocks is None else blocks
        components: dict[ComponentName, ComponentId] = {}
        for name in architecture.path_names(num_blocks, adapters, loras):
            inherited = self.models[parent].components.get(name)
            if inherited is not None and name != architecture.HEAD and name not in own:
                components[name] = inherited
                continue
            variant = architecture.get_variant(self.experiment.variant)
            leaves = architecture.model_leaves(variant, name, values, self.tasks[task].num_classes)
            is_new = name == architecture.HEAD or architecture.is_inserted(name)
            components[name] = f"{name}@{id}"
            self.components[f"{name}@{id}"] = ComponentRecord(
                name, leaves, "init" if is_new else "clone", model=id, cycles={task: 2}
            )
        self.models[id] = ModelRecord(
            id, task, parent, values, components, Quality(quality, 100), offspring, Quality(1, 2) if retained else None
        )
        if retained:
            self.retained[task] = id
        if active:
            self.active.append(id)
        return id

    def state(self, position: Position | None = None, seeds: tuple[ModelId, ...] = ()) -> State:
        """The state of all models added so far."""
        return State.of(
            position=position or Position(),
            models=self.models,
            components=self.components,
            retained=self.retained,
            active=tuple(self.active),
            seeds=seeds,
            next_model_id=max(self.models) + 1,
        )


def part(child: ChildPlan, name: ComponentName) -> ComponentPlan:
    """The plan of one component of a child."""
    return next(plan for plan in child.components if plan.name == name)


def trained(child: ChildPlan) -> set[ComponentName]:
    """Names of the components that a child trains."""
    return {plan.name for plan in child.components if plan.trainable}


def draws(*path: str | int) -> Draws:
    """Draws of a test."""
    return Draws(("test", *path))
