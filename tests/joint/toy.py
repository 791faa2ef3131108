"""The smallest learner: a linear classifier a task, with noise, momentum and decisions; and trainings of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from munet import rng
from munet.config import Runtime
from munet.data.open_settings import OpenSettings
from munet.data.streamed import StreamedImages
from munet.data.tasks import load_tasks
from munet.joint.beginning import Beginning
from munet.joint.job import Criterion, Free, Job, Words
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, Place
from munet.joint.length import Length
from munet.joint.loop import Trained, Training
from munet.joint.rounds import Stream
from munet.joint.saving import JointSaves
from munet.joint.workdir import TRAIN, Workdir
from munet.progress.events import Event
from munet.run.deadline import Deadline
from munet.training.batches.stream import Resize
from munet.training.placement.devices import DeviceLayout
from munet.training.program import keys
from tests.joint.tiny import write_task

SIZE = 4  # pixels on a side


class Linear(Deciding):
    """Softmax regression on pixels, in a group a task; the bias of every task is shifted by decisions."""

    def __init__(self, tasks: Group, rate: float = 0.05, bad: int = -1):
        self.groups: tuple[Group, ...] = (tasks,)
        self.decided: list[tuple[Any, Place]] = []
        self._rate, self._bad = rate, bad

    def initial(self, seed: int) -> Any:
        params = {}
        for task in self.groups[0]:
            words = rng.key_data(("toy", seed, task))
            kernel = np.random.Generator(np.random.Philox(key=int(words[0]))).normal(size=(3 * SIZE * SIZE, 2)) * 0.01
            params[task] = {"kernel": kernel.astype(np.float32), "bias": np.zeros(2, np.float32)}
        return {
            "params": params,
            "momentum": jax.tree.map(np.zeros_like, params),
            "step": np.int32(0),
        }

    def train(self, state: Any, batches: Mapping[str, Batch]) -> tuple[Any, Mapping[str, Array]]:
        def loss_of(params: Any) -> tuple[Array, dict[str, Array]]:
            losses = {}
            for task, batch in batches.items():
                key = keys.wrapped(batch.words[0])
                pixels = batch.images.astype(jnp.float32) / 127.5 - 1
                pixels = pixels[:, ::2, ::2] + 0.1 * jax.random.normal(key, (len(pixels), SIZE, SIZE, 1))
                pixels = jnp.broadcast_to(pixels, (*pixels.shape[:-1], 3))
                logits = self._logits(params[task], pixels)
                losses[task] = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()
            return jnp.stack(list(losses.values())).sum(), losses

        gradients, losses = jax.grad(loss_of, has_aux=True)(state["params"])
        momentum = jax.tree.map(lambda old, new: 0.9 * old + new, state["momentum"], gradients)
        params = jax.tree.map(lambda leaf, move: leaf - self._rate * move, state["params"], momentum)
        first = self.groups[0][0]
        losses[first] = jnp.where(state["step"] == self._bad, jnp.nan, losses[first])
        return {"params": params, "momentum": momentum, "step": state["step"] + 1}, losses

    def measure(self, state: Any, task: str, images: Array, labels: Array) -> Answers:
        logits = self._logits(state["params"][task], images)
        return Answers(logits.argmax(axis=1), optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    def decide(self, state: Any, place: Place) -> tuple[Any, Mapping[str, object] | None]:
        self.decided.append((jax.tree.map(np.copy, state), place))
        shift = np.float32(rng.uniform(("decide", place.seed, place.round)))
        params = {
            task: {
                **leaves,
                "bias": (np.asarray(leaves["bias"]) + shift * np.array([1, -1], np.float32)).astype(np.float32),
            }
            for task, leaves in state["params"].items()
        }
        return {**state, "params": params}, {"shift": float(shift)}

    def learning_rate(self, step: int) -> float:
        return self._rate

    def facts(self, state: Any) -> Mapping[str, Facts]:
        return dict.fromkeys(self.groups[0], Facts(98, 98.0, 192))

    def components(self, state: Any) -> tuple[Component, ...]:
        return tuple(Component("head", leaves, "init", (task,)) for task, leaves in state["params"].items())

    def _logits(self, params: Any, pixels: Array) -> Array:
        values: Array = pixels.reshape(len(pixels), -1) @ params["kernel"] + params["bias"]
        return values


def make(
    folder: Path,
    *,
    names: tuple[str, ...] = ("first", "second"),
    seeds: tuple[int, ...] = (0,),
    length: Length | None = None,
    keeps_best: Criterion | str = "",
    learner: Linear | None = None,
    streamed: bool = False,
    layout: DeviceLayout | None = None,
) -> Job:
    """A training of the toy on small tasks, which are written if they are not there."""
    uris = [f"npz:{folder}/{name}.npz" if (folder / f"{name}.npz").exists() else write_task(folder / f"{name}.npz")
            for name in names]  # fmt: skip
    tasks = load_tasks(uris, OpenSettings(cache_dir="off"))

    def path_of(name: str) -> Callable[[int], rng.Path]:
        return lambda seed: ("toy", seed, name)

    streams = []
    for task in tasks:
        train = task.split("train")
        images = StreamedImages.of_array(train.decoded) if streamed else train.images
        streams.append(Stream(task.info.name, images, train.labels.astype(np.int32), 8, path_of(task.info.name)))
    layout = layout or DeviceLayout.detect(Runtime(num_devices=1))
    words = Words("Toy", "Toy", "a toy", (), "Lower the rate")
    return Job(
        kind=TRAIN,
        learner=learner or Linear(names),
        streams=tuple(streams),
        tasks=tuple(tasks),
        validation={task.info.name: task.split("validation") for task in tasks},
        tested=lambda task: task.split("test"),
        resize={name: Resize(SIZE, antialias=False) for name in names},
        seeds=seeds,
        length=length or Length(12, 4, block=3),
        keeps_best=keeps_best,  # type: ignore[arg-type]
        free=Free(checkpoint_minutes=0),
        layout=layout,
        beginning=Beginning({}, tuple(task.info for task in tasks), layout.describe(), {}),
        words=words,
        publish=lambda *_: None,  # type: ignore[arg-type, return-value]
    )


def train(job: Job, workdir: Path, notify: Callable[[Event], None] = lambda _: None, hours: float = 0.0) -> Trained:
    """Trains, or goes on."""
    place = Workdir(str(workdir), TRAIN)
    with place.lock():
        if place.beginning() is None:
            place.begin(job.beginning)
        saving = JointSaves(place.in_training, job.free.checkpoint_minutes, lambda text: notify_of(text))
        return Training(job, place, saving, notify, Deadline(hours)).run()


def notify_of(text: str) -> None:
    """A save that fails or cannot be used fails the test."""
    raise AssertionError(text)


def leaves(trained: Trained) -> list[bytes]:
    """All arrays of a state, to the bit."""
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trained.state)]
