"""What the joint trainer costs over the bare step: host draws, dispatch, checks of losses.

    python -m benchmarks.joint [--case=linear|vit] [--repeats=7] [--blocks=5]

Prints one JSON line. `linear`: 30 linear tasks, 20 replicas, blocks of 100 rounds; `vit`: Ti/16 with 3 blocks, 4 tasks,
batches of 32 each. `ratio` is the median, over turns in one process, of the trainer's seconds over those of a bare
`lax.scan` of the same step on batches drawn before; both are compiled first.
`processor_ratio` is the same of processor time, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from munet import rng
from munet.config import Runtime
from munet.config.train import TrainExperiment
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, Learner
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds, Stream, batch
from munet.methods.fine_tuning.learner import FineTuning
from munet.training.placement.devices import DeviceLayout
from munet.types import TaskInfo
from munet.vit.architecture import get_variant
from munet.vit.init import init_root


class Linear(Deciding):
    """Softmax regression on the pixels of each task."""

    def __init__(self, tasks: tuple[str, ...], size: int):
        self.groups: tuple[Group, ...] = (tasks,)
        self._size = size

    def initial(self, seed: int) -> Any:
        """Zeros; the seed tells replicas apart by their batches."""
        del seed
        return {task: np.zeros((self._size, 10), np.float32) for task in self.groups[0]}

    def train(self, state: Any, batches: Mapping[str, Batch]) -> tuple[Any, Mapping[str, Array]]:
        """A step of gradient descent for each task."""

        def loss_of(state: Any) -> tuple[Array, dict[str, Array]]:
            losses = {
                task: optax.softmax_cross_entropy_with_integer_labels(
                    (one.images.reshape(len(one.labels), -1).astype(jnp.float32) / 255) @ state[task], one.labels
                ).mean()
                for task, one in batches.items()
            }
            return jnp.stack(list(losses.values())).sum(), losses

        gradients, losses = jax.grad(loss_of, has_aux=True)(state)
        return jax.tree.map(lambda leaf, move: leaf - 0.1 * move, state, gradients), losses

    def measure(self, state: Any, task: str, images: Array, labels: Array) -> Answers:
        """Not timed."""
        del state, task, images
        return Answers(labels, jnp.zeros(labels.shape))

    def learning_rate(self, step: int) -> float:
        """Constant."""
        del step
        return 0.1

    def facts(self, state: Any) -> Mapping[str, Facts]:
        """Not timed."""
        del state
        return {}

    def components(self, state: Any) -> tuple[Component, ...]:
        """Not timed."""
        del state
        return ()


class Case(NamedTuple):
    """What is trained."""

    learner: Learner[Any]
    streams: tuple[Stream, ...]
    replicas: int
    block: int


def linear() -> Case:
    """30 tasks of 10 x 10 pixels and 10 classes, batches of 16, 20 replicas."""
    streams = tuple(_stream(f"task{index}", 400, 10, 1, 10, 16) for index in range(30))
    return Case(Linear(tuple(stream.name for stream in streams), 100), streams, 20, 100)


def vit() -> Case:
    """Hard parameter sharing of Ti/16 with 3 blocks among 4 tasks."""
    streams = tuple(_stream(f"task{index}", 1000, 32, 1, 10, 32) for index in range(4))
    names = tuple(str(label) for label in range(10))
    tasks = [TaskInfo(stream.name, "", "", names, 1000, 1, 1) for stream in streams]
    experiment = TrainExperiment(variant="Ti/16", num_blocks=3)
    root = init_root(get_variant("Ti/16"), 3, 32)
    return Case(
        FineTuning(experiment, tasks, root, num_rounds=1000, restart_every=1000, dtype="float32"), streams, 1, 5
    )


def _stream(name: str, count: int, size: int, channels: int, classes: int, batch_size: int) -> Stream:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.int32)

    def path(seed: int) -> rng.Path:
        return ("benchmark", seed, name)

    return Stream(name, images, labels, batch_size, path)


def measure(case: Case, blocks: int, repeats: int) -> dict[str, Any]:
    """Both contenders in turn."""
    layout = DeviceLayout.detect(Runtime())
    seeds = tuple(range(case.replicas))
    mesh = mesh_of(layout, case.replicas)
    programs = Programs(case.learner, case.replicas, mesh)
    rounds = Rounds(case.streams, seeds, size=case.block, num_rounds=1 << 30, mesh=mesh, limit=float("inf"))
    names = [stream.name for stream in case.streams]
    carried = programs.initial(seeds, names)
    drawn = [rounds.block(index * case.block, case.block) for index in range(blocks)]

    def one(state: Any, picked: Any) -> Any:
        def step(state: Any, index: Array) -> tuple[Any, Any]:
            return case.learner.train(state, {name: batch(rounds.sets[name], picked[name], index) for name in names})

        return jax.lax.scan(step, state, jnp.arange(case.block))[0]

    bare_block = jax.jit(jax.vmap(one) if case.replicas > 1 else one, donate_argnums=0)
    state = programs.initial(seeds, names).state

    def trainer() -> None:
        nonlocal carried
        picked = rounds.block(0, case.block)
        for index in range(1, blocks + 1):  # as `Training` does it: the next block is drawn while this one runs
            carried = programs.run(carried, picked, rounds.sets, case.block)
            picked = rounds.block(index * case.block, case.block)
            for sums in carried.loss_sums.values():
                np.asarray(sums)

    def bare() -> None:
        nonlocal state
        for picked in drawn:
            state = bare_block(state, picked)
        jax.block_until_ready(state)

    def seconds(work: Callable[[], None]) -> tuple[float, float]:
        started = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - started[0], time.process_time() - started[1]

    compiled = [seconds(work) for work in (trainer, bare)]
    turns = [(seconds(trainer), seconds(bare)) for _ in range(repeats)]
    return {
        "trainer_seconds": statistics.median(ours[0] for ours, _ in turns),
        "bare_seconds": statistics.median(theirs[0] for _, theirs in turns),
        "ratio": statistics.median(ours[0] / theirs[0] for ours, theirs in turns),
        "processor_ratio": statistics.median(ours[1] / theirs[1] for ours, theirs in turns),
        "first_seconds": [wall for wall, _ in compiled],
        "rounds": blocks * case.block,
        "images_per_round": sum(stream.batch_size for stream in case.streams) * case.replicas,
    }


def main() -> None:
    """Measures one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("linear", "vit"), default="linear")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=5)
    given = parser.parse_args()
    case = {"linear": linear, "vit": vit}[given.case]()
    print(json.dumps({"case": given.case, **measure(case, given.blocks, given.repeats)}))


if __name__ == "__main__":
    main()
