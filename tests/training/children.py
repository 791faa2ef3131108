"""Children of random architecture for the engine's tests, with arrays of their own instead of a store's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import jax
import numpy as np

from munet.config import Config, Defaults, Experiment
from munet.data.splits import Split
from munet.data.tasks import Task
from munet.training.assemble import FlatArrays
from munet.training.in_flight import InFlight
from munet.training.placement.chunks import Placed
from munet.training.placement.devices import DeviceLayout
from munet.training.population import Population
from munet.training.trainer import TrainedChild
from munet.training.work import TaskWork
from munet.types import (
    ChildPlan,
    ComponentId,
    ComponentPlan,
    GenerationPlan,
    HyperparameterValue,
    ModelId,
    Position,
    TaskInfo,
)
from munet.vit import architecture

VARIANT = architecture.get_variant("demo/16")
NUM_CLASSES = 5


class FakeTask:
    """Coloured noise that is easy to tell apart, in memory."""

    def __init__(self, num_train: int = 64, num_other: int = 40, size: int = 32, seed: int = 0):
        random = np.random.default_rng(seed)
        self._splits = {
            name: _split(random, count, size)
            for name, count in (("train", num_train), ("validation", num_other), ("test", num_other))
        }
        names = tuple(f"class {index}" for index in range(NUM_CLASSES))
        self.info = TaskInfo("fake", "fake:fake", "0" * 64, names, num_train, num_other, num_other)

    def split(self, name: str) -> Split:
        return self._splits[name]


def _split(random: np.random.Generator, count: int, size: int) -> Split:
    labels = random.integers(0, NUM_CLASSES, count).astype(np.int32)
    noise = random.integers(0, 128, (count, size, size, 3))
    return Split((noise + 25 * labels[:, None, None, None]).astype(np.uint8), labels)


def config(**changes: object) -> Config:
    experiment = Experiment(
        tasks=("fake:fake",), batch_size=16, max_batches_per_cycle=5, min_batches_per_cycle=0, cycles_per_child=1
    )
    for name, value in changes.items():
        setattr(experiment, name, value)
    result = Config(experiment)
    result.runtime.checkpoint_minutes = -1
    return result


def hyperparameters(**changes: HyperparameterValue) -> dict[str, HyperparameterValue]:
    return {**dataclasses.asdict(Defaults()), **changes}


def random_child(
    seed: int,
    id: int,
    image_size: int = 32,
    max_blocks: int = 2,
    lora: bool = False,
    **settings: HyperparameterValue,
) -> ChildPlan:
    """A child with some blocks, any adapters (and low-rank updates), any subset trainable, any optimiser."""
    random = np.random.default_rng(seed)
    blocks = int(random.integers(1, max_blocks + 1))
    adapters = [index for index in range(blocks) if random.random() < 0.5]
    drawn = hyperparameters(
        learning_rate=float(random.choice([0.002, 0.005, 0.01])),
        schedule=str(random.choice(["constant", "cosine", "restarts"])),
        warmup_ratio=float(random.choice([0.01, 0.2, 0.4])),
        momentum=float(random.choice([0.7, 0.9])),
        nesterov=bool(random.random() < 0.5),
        adapter_dim=int(random.choice([8, 16, 32, 64])),
        image_size=image_size,
    )
    loras = [index for index in range(blocks) if random.random() < 0.7] if lora else []
    if lora:
        drawn["lora_rank"] = int(random.choice([2, 4, 8, 16]))
    plans = []
    for name in architecture.path_names(blocks, adapters, loras):
        trains = name == architecture.HEAD or random.random() < 0.5
        plans.append(ComponentPlan(name, "clone" if trains else "share", f"{id}:{name}", trains))
    return ChildPlan(id, "fake", 0, False, {**drawn, **settings}, tuple(plans))


def with_settings(child: ChildPlan, id: int, **settings: HyperparameterValue) -> ChildPlan:
    """A child of the same architecture with other settings, and arrays of its own."""
    plans = tuple(dataclasses.replace(plan, source=f"{id}:{plan.name}") for plan in child.components)
    drawn = {**child.hyperparameters, **settings}
    return dataclasses.replace(child, id=id, hyperparameters=drawn, components=plans)


def loader_of(children: list[ChildPlan]) -> Callable[[ComponentId], FlatArrays]:
    """Random arrays for every component that the children clone or share."""
    arrays: dict[ComponentId, FlatArrays] = {}
    for child in children:
        for plan in child.components:
            leaves = architecture.model_leaves(VARIANT, plan.name, child.hyperparameters, NUM_CLASSES)
            random = np.random.default_rng([child.id, *plan.name.encode()])
            arrays[plan.source or ""] = {
                path: (random.normal(0, 0.08, leaf.shape) + path.endswith("scale")).astype(np.float32)
                for path, leaf in leaves.items()
            }
    return lambda identity: arrays[identity]


def generation(children: list[ChildPlan]) -> GenerationPlan:
    return GenerationPlan(Position(), "fake", tuple(children))


def work_of(settings: Config, task: FakeTask | None = None) -> TaskWork:
    return TaskWork.of(settings.experiment, (task or FakeTask()).info)


def engine(
    settings: Config,
    children: list[ChildPlan],
    task: FakeTask | None = None,
    in_flight: InFlight | None = None,
    layout: DeviceLayout | None = None,
) -> Population:
    tasks = {"fake": cast(Task, task or FakeTask())}
    found = layout or DeviceLayout.detect(settings.runtime)
    return Population(settings, found, tasks, loader_of(children), in_flight)


def placed(
    settings: Config, children: list[ChildPlan], task: FakeTask | None = None, layout: DeviceLayout | None = None
) -> Placed:
    """The generation of some children as the engine places it."""
    return engine(settings, children, task, layout=layout).plan(generation(children), work_of(settings, task))


def train(
    settings: Config,
    children: list[ChildPlan],
    task: FakeTask | None = None,
    in_flight: InFlight | None = None,
    on_cycle: Callable[..., None] = lambda *_: None,
    layout: DeviceLayout | None = None,
) -> dict[ModelId, TrainedChild]:
    """What the engine makes of some children."""
    made = engine(settings, children, task, in_flight, layout)
    return made.train(made.plan(generation(children), work_of(settings, task)), on_cycle)


@contextmanager
def highest_precision() -> Iterator[None]:
    """Products in full float32, in all threads: JAX's own context holds in the present one alone."""
    before = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        yield
    finally:
        jax.config.update("jax_default_matmul_precision", before)
