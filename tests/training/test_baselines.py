"""Every baseline by the engine equals a plain optax loop on the same batches; its replicas see different ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from munet import rng
from munet.config import Baseline, Config
from munet.data import loader
from munet.data.augment import AugmentLaws, AugmentSettings
from munet.data.tasks import Task, load_task
from munet.training import population
from munet.training.batches.stream import Resize, StreamSettings, TrainStream, evaluation_batches
from munet.training.placement import devices
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentPlan
from munet.vit import forward
from munet.vit.architecture import HEAD, NORM, block_name, path_names
from tests.training import reference
from tests.training.children import VARIANT, FakeTask, config, generation, highest_precision, hyperparameters, loader_of

NUM_BLOCKS = 3
BLOCKS = [block_name(index) for index in range(NUM_BLOCKS)]
ADAPTERS = {name for name in path_names(NUM_BLOCKS, range(NUM_BLOCKS)) if "adapter" in name}
KINDS: dict[str, tuple[Baseline, set[str]]] = {
    "multi_head": (Baseline("multi_head"), {NORM, HEAD}),
    "top_layers, k = 2": (Baseline("top_layers", frozen_blocks=2), {NORM, HEAD, *BLOCKS[2:]}),
    "top_layers, k = 1": (Baseline("top_layers", frozen_blocks=1), {NORM, HEAD, *BLOCKS[1:]}),
    "top_layers, k = 0": (Baseline("top_layers", frozen_blocks=0), {NORM, HEAD, *BLOCKS}),
    "full": (Baseline("full"), set(path_names(NUM_BLOCKS))),
    "adapters, d = 32": (Baseline("adapters", adapter_dim=32), {NORM, HEAD, *ADAPTERS}),
    "adapters, d = 512": (Baseline("adapters", adapter_dim=512), {NORM, HEAD, *ADAPTERS}),
}


def replicas(baseline: Baseline, trained: set[str], count: int, **settings: Any) -> list[ChildPlan]:
    """Children as `munet.evolution.children` makes them, whose components the tests' loader has."""
    names = path_names(NUM_BLOCKS, range(NUM_BLOCKS) if baseline.kind == "adapters" else range(0))
    values = hyperparameters(adapter_dim=baseline.adapter_dim, **settings)
    return [
        ChildPlan(
            id,
            "fake",
            0,
            False,
            values,
            # One source for all replicas: they start from one root.
            tuple(ComponentPlan(n, "clone" if n in trained else "share", f"1:{n}", n in trained) for n in names),
        )
        for id in range(1, count + 1)
    ]


def batches(task: Any, child: ChildPlan, settings: Config, replica: int, num_steps: int) -> list[reference.Batch]:
    """What a replica trains on: its place is in the key."""
    path: rng.Path = (settings.experiment.seed, 0, child.task, 0, "batches", "child", replica)
    train = task.split("train")
    stream = TrainStream(
        train.images,
        train.labels,
        AugmentSettings.from_hyperparameters(child.hyperparameters),
        path,
        StreamSettings(
            settings.experiment.batch_size,
            num_steps,
            Resize(int(child.hyperparameters["image_size"]), antialias=False),
            laws=AugmentLaws(crop="uniform_area"),
        ),
    )
    segment = stream.segment(0, num_steps)
    return [(np.asarray(segment.images[index]), np.asarray(segment.labels[index])) for index in range(num_steps)]


def train(settings: Config, children: list[ChildPlan], task: Task, load: Any) -> dict[int, Any]:
    """What the engine makes of them on any task, with any arrays."""
    name = task.info.name
    engine = population.Population(settings, devices.DeviceLayout.detect(settings.runtime), {name: task}, load)
    plan = replace(generation(children), task=name)
    return engine.train(engine.plan(plan, TaskWork.of(settings.experiment, task.info)), lambda *_: None)


# Near to others, and each compiles anew.
_SLOW = ("full", "multi_head", "top_layers, k = 0", "top_layers, k = 1", "top_layers, k = 2", "adapters, d = 32")


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k in _SLOW else k for k in KINDS])
def test_five_steps_equal_a_plain_optax_loop(kind: str) -> None:
    baseline, trained = KINDS[kind]
    settings = config(baseline=baseline, num_generations=1, num_task_iterations=1)  # a budget of one cycle
    children = replicas(baseline, trained, 2)
    load = loader_of(children[:1])
    task = FakeTask(num_train=80)
    with highest_precision():
        found = train(settings, children, cast(Task, task), load)
        for replica, child in enumerate(children):
            assert set(found[child.id].best) == trained
            reached = reference.train(
                VARIANT,
                {plan.name: unflatten_dict(load(plan.source or ""), sep="/") for plan in child.components},
                trained,
                child.hyperparameters,
                batches(task, child, settings, replica, num_steps=5),
                steps_per_cycle=5,
                clip_norm=settings.experiment.clip_norm,
            )
            for name, arrays in found[child.id].best.items():
                for path, array in flatten_dict(reached[name], sep="/").items():
                    where = f"replica {replica} {name} {path}"
                    np.testing.assert_allclose(arrays[path], array, rtol=0, atol=1e-5, err_msg=where)
    first, second = (found[child.id].best[HEAD] for child in children)
    assert any((first[path] != second[path]).any() for path in first)  # "best of 8" needs eight different ones


@pytest.mark.slow
def test_full_fine_tuning_ends_where_a_plain_loop_ends() -> None:
    """Final validation accuracy on digits over three seeds: float32 drifts apart, so within noise only."""
    baseline, trained = KINDS["full"]
    task = load_task("builtin:digits")
    ours, plain = [], []
    for seed in range(3):
        settings = config(baseline=baseline, seed=seed, batch_size=64, max_batches_per_cycle=100, cycles_per_child=1)
        settings.experiment = replace(settings.experiment, num_generations=3, num_task_iterations=1)
        steps = loader.steps_per_cycle(task.info.num_train, settings.experiment)
        (child,) = replicas(baseline, trained, 1, learning_rate=0.05, crop_area_min=0.5, flip=False)
        child = replace(child, task=task.info.name)
        load = _wider_head(loader_of([child]), task.info.num_classes)
        ours.append(train(settings, [child], task, load)[1].training.qualities[-1].value)
        reached = reference.train(
            VARIANT,
            {component.name: unflatten_dict(load(component.source or ""), sep="/") for component in child.components},
            trained,
            child.hyperparameters,
            batches(task, child, settings, 0, num_steps=3 * steps),
            steps_per_cycle=steps,
            clip_norm=1.0,
        )
        plain.append(_accuracy(reached, task))
    assert np.mean(plain) > 0.5  # it has learnt something
    assert abs(np.mean(ours) - np.mean(plain)) < 0.04, (ours, plain)  # 179 images: one is 0.6 points


def _wider_head(load: Any, num_classes: int) -> Any:
    """The loader with a zero head for this many classes."""

    def wider(identity: str) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = load(identity)
        if not identity.endswith(f":{HEAD}"):
            return arrays
        return {path: np.zeros((*leaf.shape[:-1], num_classes), np.float32) for path, leaf in arrays.items()}

    return wider


def _accuracy(params: dict[str, Any], task: Task) -> float:
    correct = counted = 0
    for piece in evaluation_batches(task.split("validation"), Resize(32, antialias=False)):
        logits = [forward.logits(VARIANT, params, images, num_blocks=NUM_BLOCKS) for images in piece.images]
        best = np.concatenate([np.asarray(batch).argmax(-1) for batch in logits])[: piece.counted]
        correct += int((best == piece.labels).sum())
        counted += piece.counted
    return correct / counted
