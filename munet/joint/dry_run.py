"""`munet pretrain --dry_run`: images, steps, memory and time of a training, from measured steps; nothing is written."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from munet.joint.preparation import JointSetup
from munet.methods.pretraining import recipe
from munet.methods.pretraining.recipe import Set
from munet.text import count, duration
from munet.vit.architecture import get_variant

_MIB = 1 << 20


def describe(setup: JointSetup) -> list[str]:
    """Lines for people: what the training will do, and about how long it will take."""
    config, examples = setup.config.experiment, setup.examples
    height, width, channels = examples.images.shape[1:]
    lines = [
        f"{setup.num_images:,} training images of {height}x{width}x{channels}, {examples.num_classes:,} classes; "
        f"{sum(map(len, examples.validation.values())):,} validation images",
        *(
            f"  {task.info.name}: {task.info.num_classes:,} classes, {task.info.num_train:,} training images"
            for task in setup.tasks
        ),
        f"{count(setup.num_steps, 'step')} of {setup.batch_size:,} "
        f"({setup.num_steps * setup.batch_size / setup.num_images:.1f} epochs) of {config.variant} with "
        f"{count(config.num_blocks, 'block')} at {config.image_size} pixels",
    ]
    measured = _measure(setup)
    devices = setup.layout.devices
    seconds = measured.compilation + setup.num_steps * measured.step
    return [
        *lines,
        f"about {measured.state_bytes / _MIB:.0f} MiB of parameters and optimiser, "
        f"{_kept_bytes(setup) / len(devices) / _MIB:.0f} MiB for a batch, {examples.images.nbytes / _MIB:.0f} MiB of "
        "images, on each device",
        f"measured on {count(len(devices), f'{devices[0].device_kind} device')}: {measured.step * 1000:.1f} ms a step, "
        f"{measured.compilation:.0f} s to compile",
        f"about {duration(seconds)} in all, without measuring and saving",
    ]


@dataclass(frozen=True)
class _StepTimes:
    """Seconds of wall time, and the size of the state."""

    compilation: float
    step: float
    state_bytes: int


def _measure(setup: JointSetup, num_steps: int = 3) -> _StepTimes:
    """Compiles the train step and times some, on a state that is thrown away."""
    config = setup.config.experiment
    everywhere = NamedSharding(setup.mesh, PartitionSpec())
    state = jax.device_put(recipe.initial_state(config, setup.examples.num_classes, setup.num_steps), everywhere)
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    images = Set(*jax.device_put((setup.examples.images, setup.examples.labels), everywhere))
    program = recipe.train_step(config, setup.examples.num_classes, setup.num_steps, setup.mesh)
    batch = jax.device_put(
        np.arange(setup.batch_size, dtype=np.int32), NamedSharding(setup.mesh, PartitionSpec("data"))
    )
    times = []
    for step in range(num_steps + 1):
        started = time.perf_counter()
        state = program(state, images, batch, jax.device_put(recipe.step_words(config, step), everywhere))
        jax.block_until_ready(state)
        times.append(time.perf_counter() - started)
    step_seconds = statistics.median(times[1:])
    return _StepTimes(times[0] - step_seconds, step_seconds, num_bytes)


def _kept_bytes(setup: JointSetup) -> int:
    """What the backward pass keeps of a batch, estimated as for a run's children (munet/run/dry_run.py)."""
    config = setup.config.experiment
    variant = get_variant(config.variant)
    tokens = setup.batch_size * variant.num_tokens(config.image_size)
    return 4 * tokens * (10 * variant.width + 2 * variant.mlp_dim) * config.num_blocks
