"""What contenders work on: a task of noise, and a generation of children as a run would propose it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from munet.config import Config, Experiment
from munet.data.splits import Split
from munet.data.tasks import Task
from munet.run import rehearsal
from munet.training.assemble import FlatArrays
from munet.types import ChildPlan, ComponentId, ComponentPlan, GenerationPlan, Position, TaskInfo
from munet.vit import architecture

KINDS = ("full", "head", "mutated")
_REHEARSED_GENERATION = 3  # far enough into a phase for lineages to differ in depth, adapters and what trains


@dataclass(frozen=True)
class Case:
    """One setting of a benchmark.

    Attributes:
      variant, num_blocks, image_size, batch_size: of the model and its training.
      children: of the generation.
      kind: "full": every layer of every child trains; "head": the head alone, as in seed children; "mutated": children
        of a rehearsed run, the fourth generation of its first phase.
      cycles, steps: train/validation cycles of a child, and train steps in each.
      seed: of the arrays and of the rehearsal.
    """

    variant: str = "Ti/16"
    num_blocks: int = 3
    image_size: int = 32
    batch_size: int = 512
    children: int = 8
    kind: str = "mutated"
    cycles: int = 5
    steps: int = 10
    seed: int = 0

    @property
    def image_steps(self) -> int:
        """Images that all children train on."""
        return self.children * self.cycles * self.steps * self.batch_size


class NoiseTask:
    """Random images of ten classes, in memory; an epoch is `case.steps` batches."""

    def __init__(self, case: Case):
        random = np.random.default_rng(case.seed)
        counts = {"train": case.steps * case.batch_size, "validation": case.batch_size, "test": case.batch_size}
        shape = (case.image_size, case.image_size, 3)
        self._splits = {
            name: Split(
                random.integers(0, 256, (count, *shape), dtype=np.uint8), random.integers(0, 10, count, dtype=np.int32)
            )
            for name, count in counts.items()
        }
        names = tuple(f"class {index}" for index in range(10))
        self.info = TaskInfo("noise", "noise:", "0" * 64, names, *counts.values())

    def split(self, name: str) -> Split:
        """The images and labels of a split of the noise task."""
        return self._splits[name]


def task(case: Case) -> Task:
    """The case's task, as the engine takes one."""
    return cast(Task, NoiseTask(case))


def config(case: Case) -> Config:
    """Settings of a run that would have this generation; image sizes are fixed."""
    experiment = Experiment(
        seed=case.seed,
        tasks=("noise:",),
        variant=case.variant,
        num_blocks=case.num_blocks,
        children_per_generation=case.children,
        cycles_per_child=case.cycles,
        batch_size=case.batch_size,
        max_batches_per_cycle=case.steps,
        min_batches_per_cycle=0,
    )
    experiment.search_space.image_size = (case.image_size,)
    experiment.defaults.image_size = case.image_size
    result = Config(experiment)
    result.runtime.checkpoint_minutes = -1
    return result


def generation(case: Case) -> GenerationPlan:
    """The children that every contender is to train, as one generation's plan."""
    if case.kind != "mutated":
        return GenerationPlan(Position(), "noise", tuple(_alike(case, index + 1) for index in range(case.children)))
    plans = rehearsal.plans(config(case).experiment, [task(case).info])
    return next(plan for plan in plans if plan.position.generation == _REHEARSED_GENERATION)


def _alike(case: Case, id: int) -> ChildPlan:
    """A child of the root that trains every layer, or its head."""
    plans = []
    for name in architecture.path_names(case.num_blocks):
        trains = case.kind == "full" or name == architecture.HEAD
        plans.append(ComponentPlan(name, "clone" if trains else "share", f"root:{name}", trains))
    return ChildPlan(id, "noise", 0, False, dataclasses.asdict(config(case).experiment.defaults), tuple(plans))


def loader(case: Case, plan: GenerationPlan) -> Callable[[ComponentId], FlatArrays]:
    """Random arrays for every component that the children come from."""
    variant = architecture.get_variant(case.variant)
    arrays: dict[ComponentId, FlatArrays] = {}
    for child in plan.children:
        for part in child.components:
            if part.source is None or part.source in arrays:
                continue
            leaves = architecture.model_leaves(variant, part.name, child.hyperparameters, 10)
            random = np.random.default_rng([case.seed, *part.source.encode()])
            arrays[part.source] = {
                path: (random.normal(0, 0.02, leaf.shape) + path.endswith("scale")).astype(np.float32)
                for path, leaf in leaves.items()
            }
    return lambda identity: arrays[identity]


def read(text: dict[str, Any]) -> Case:
    """A case as JSON gave it."""
    return Case(**text)
