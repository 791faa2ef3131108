"""What every learner must pass: add a line to `LEARNERS`, and `test_conformance.py` asks it of yours.

A line makes a training of two small tasks from a folder for their files. What needs no learner of its own (kills,
decisions, the best version) is tested once, on a toy, in `test_training.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Float, Int

from munet.config.checks import validate
from munet.config.train import Method, TrainConfig, TrainExperiment, TrainRuntime
from munet.data.tasks import Task
from munet.joint.job import Job
from munet.joint.program import Carried, Programs, mesh_of
from munet.joint.rounds import Rounds
from munet.joint.run import train
from munet.methods.fine_tuning import job as fine_tuning
from munet.methods.gumbel_matrix import job as gumbel_matrix
from munet.methods.muir import job as muir
from munet.methods.pretraining import job as pretraining
from munet.progress.events import Event, Note
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed
from tests.methods.muir import small


def _pretraining(folder: Path) -> Job:
    return pretraining.prepare(tiny.config(folder, num_steps=6, learning_rate=1e-3))


def notes(config: TrainConfig, workdir: Path) -> list[str]:
    """Trains, and gives what was noted."""
    told: list[Event] = []
    train(config, str(workdir), told.append)
    return [event.text for event in told if isinstance(event, Note)]


def joint_config(folder: Path, method: Method, **changes: Any) -> TrainConfig:
    """A joint training of the two tasks of `tiny` in seconds."""
    settings = {
        "tasks": (f"npz:{folder}/first.npz", f"npz:{folder}/second.npz"),
        "method": method,
        "num_blocks": 1,
        "num_rounds": 6,
        "validate_every": 4,
        "batch_size": 8,
    }
    runtime = TrainRuntime(cache_dir=str(folder / "cache"), checkpoint_minutes=60, block_rounds=3)
    for name in [name for name in changes if hasattr(runtime, name)]:
        setattr(runtime, name, changes.pop(name))
    config = TrainConfig(TrainExperiment(**{**settings, **changes}), runtime)  # type: ignore[arg-type]  # checked
    config.experiment.defaults.image_size = 16
    return validate(config)


def _fine_tuning(method: Method) -> Callable[[Path], Job]:
    return lambda folder: fine_tuning.prepare(joint_config(folder, method))


LEARNERS: dict[str, Callable[[Path], Job]] = {
    "pre-training": _pretraining,
    "joint fine-tuning": _fine_tuning("shared"),
    "joint adapters": _fine_tuning("shared_adapters"),
    "separate fine-tuning": _fine_tuning("separate"),
    "MUiR": lambda folder: muir.prepare(small.config(folder, challengers=1, score_learning_rate=1e-9)),
    "MUiR across architectures": lambda folder: muir.prepare(small.mixed(folder, score_learning_rate=1e-9)),
    "Gumbel-Matrix routing": lambda folder: gumbel_matrix.prepare(
        routed.config(folder, network="mnist", image_size=22)
    ),
    "Routing of a root": lambda folder: gumbel_matrix.prepare(routed.root(folder)),
}


class Candidate:
    """A learner, and what it does in the first five rounds of two replicas.

    Args:
      job: its training.
      seeds: of the replicas.
    """

    def __init__(self, job: Job, seeds: tuple[int, ...] = (0, 1)):
        self.job = replace(job, seeds=seeds)
        self.programs = Programs(job.learner, len(seeds), mesh_of(job.layout, len(seeds)))
        self.names = [stream.name for stream in job.streams]

    @cached_property
    def initial(self) -> list[Any]:
        """The states that replicas begin with, on the host."""
        return self.programs.taken(self.programs.initial(self.job.seeds, self.names).state)

    @cached_property
    def trained(self) -> Carried:
        """After a block of three rounds and one of two."""
        mesh = mesh_of(self.job.layout, len(self.job.seeds))
        rounds = Rounds(self.job.streams, self.job.seeds, size=3, num_rounds=5, mesh=mesh, limit=1e9)
        carried = self.programs.initial(self.job.seeds, self.names)
        for first, count in ((0, 3), (3, 2)):
            carried = self.programs.run(carried, rounds.block(first, count), rounds.sets, count)
        rounds.close()
        return carried

    def lowered(self, platform: str) -> list[str]:
        """The programs of training and of measuring every task, as they would be compiled for a platform."""
        mesh = mesh_of(self.job.layout, len(self.job.seeds))
        rounds = Rounds(self.job.streams, self.job.seeds, size=3, num_rounds=5, mesh=mesh, limit=1e9)
        carried = self.programs.initial(self.job.seeds, self.names)
        given = carried, rounds.block(0, 3), rounds.sets, np.int32(3)
        traced = [cast(Any, self.programs._block).trace(*given)]
        rounds.close()
        for task in self.job.tasks:
            images, labels = self.asked(task)
            state = jax.tree.map(lambda leaf: leaf[0], carried.state)
            measure = jax.jit(functools.partial(self.job.learner.measure, task=task.info.name))
            traced.append(measure.trace(state, images=images[0], labels=labels[0]))
        return [one.lower(lowering_platforms=(platform,)).as_text() for one in traced]

    def asked(self, task: Task) -> tuple[Float[np.ndarray, "2 3 *shape"], Int[np.ndarray, "2 3"]]:
        """Two batches of three images of noise, of class 0."""
        size = self.job.resize[task.info.name].image_size if self.job.resize else 0
        shape = (size, size, 3) if size else task.split("train").images.shape[1:]
        images = np.random.default_rng(0).uniform(-1, 1, (2, 3, *shape)).astype(np.float32)
        return images, np.zeros((2, 3), np.int32)

    @cached_property
    def states(self) -> list[Any]:
        """The same of each replica, on the host."""
        return self.programs.taken(self.trained.state)


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal to the bit."""
    leaves = [jax.tree.leaves(tree) for tree in (one, other)]
    return len(leaves[0]) == len(leaves[1]) and all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(*leaves, strict=True)
    )
