"""Contender: one child at a time, as a plain JAX loop trains them.

The same layers and the same batches; gradients of what trains alone, and the backward pass cut at the lowest trainable
layer; one compiled step and one compiled prediction for each child; batches from the host, made beforehand (so its
input pipeline costs nothing); the host hears once a cycle. What it lacks is what the engine is: programs that children
share, steps in one dispatch, augmentation on the device, several children at once.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from benchmarks.contenders import cases
from benchmarks.contenders.process import serve
from munet.data.augment import AugmentSettings
from munet.training import assemble
from munet.training.batches.stream import EVALUATION_BATCH, Resize, StreamSettings, TrainStream
from munet.training.program import optimizer, signature
from munet.training.program.optimizer import OptimizerSettings
from munet.training.work import TaskWork
from munet.types import ChildPlan
from munet.vit import architecture, forward

Params = dict[str, Any]


class OneChild:
    """A generation of a case, child after child; the first time includes compilation.

    Args:
      case: of which.
      makes_batches: whether every child's batches are made while it trains, by the engine's own augmentation, as a loop
        over children does; else once beforehand, free of charge.
    """

    def __init__(self, case: cases.Case, makes_batches: bool = False):
        self._case, self._config = case, cases.config(case)
        self._variant = architecture.get_variant(case.variant)
        self._plan = cases.generation(case)
        self._load = cases.loader(case, self._plan)
        task = cases.task(case)
        self._work = TaskWork.of(self._config.experiment, task.info)
        position = self._plan.position
        train, validation = task.split("train"), task.split("validation")
        self._stream = TrainStream(
            train.images,
            train.labels,
            AugmentSettings.from_hyperparameters(self._plan.children[0].hyperparameters),
            (case.seed, position.task_iteration, "noise", position.generation, "batches"),
            StreamSettings(case.batch_size, 1, Resize(case.image_size, self._config.experiment.antialias)),
        )
        self._batches = [] if makes_batches else [self._make(step) for step in range(case.cycles * case.steps)]
        self._validation = (np.asarray(validation.images, np.float32) / 127.5 - 1, np.asarray(validation.labels))
        self._programs: dict[int, tuple[Any, Any]] = {}

    def generation(self) -> dict[str, float]:
        """Trains all children, one after the other; says how many seconds that took."""
        started = time.perf_counter()
        for child in self._plan.children:
            self._train(child)
        return {"seconds": time.perf_counter() - started}

    def trained(self) -> dict[str, list[float]]:
        """The sum of each child's trained head."""
        results = {child.id: self._train(child)["head"] for child in self._plan.children}
        return {
            str(id): [float(leaf.sum()) for leaf in flatten_dict(head, sep="/").values()]
            for id, head in results.items()
        }

    def _train(self, child: ChildPlan) -> Params:
        """Trains a child and gives the best version of what trains."""
        case = self._case
        arrays = {
            part.name: unflatten_dict(assemble.component_arrays(child, part, self._work, self._load), sep="/")
            for part in child.components
        }
        trains = {part.name for part in child.components if part.trainable}
        tuned = jax.device_put({name: leaf for name, leaf in arrays.items() if name in trains})
        frozen = jax.device_put({name: leaf for name, leaf in arrays.items() if name not in trains})
        momentum = jax.device_put(optimizer.init_momentum(tuned))
        if child.id not in self._programs:
            self._programs[child.id] = self._compile(child)
        step, predict = self._programs[child.id]
        best, best_correct = tuned, -1
        for cycle in range(case.cycles):
            for index in range(cycle * case.steps, (cycle + 1) * case.steps):
                images, labels = self._batches[index] if self._batches else self._make(index)
                tuned, momentum = step(tuned, momentum, frozen, images, labels, np.int32(index))
            images, labels = self._validation
            correct = 0
            for start in range(0, len(labels), EVALUATION_BATCH):
                part = slice(start, start + EVALUATION_BATCH)
                correct += int((np.asarray(predict(tuned, frozen, images[part])) == labels[part]).sum())
            if correct > best_correct:
                best, best_correct = tuned, correct
        jax.block_until_ready(best)
        return dict(best)

    def _make(self, step: int) -> tuple[Any, Any]:
        """A batch, on the host."""
        segment = self._stream.segment(step, 1)
        return np.asarray(segment.images[0]), np.asarray(segment.labels[0])

    def _compile(self, child: ChildPlan) -> tuple[Any, Any]:
        """The child's own step and prediction."""
        variant = self._variant
        num_blocks = sum(architecture.is_block(part.name) for part in child.components)
        lowest = min(signature.level(part.name, num_blocks) for part in child.components if part.trainable)
        settings = OptimizerSettings.from_hyperparameters(
            child.hyperparameters, steps_per_cycle=self._case.steps, num_cycles=self._case.cycles
        )
        rule = optimizer.UpdateRule(self._config.experiment.clip_norm)
        dtype = self._work.dtype

        def loss(tuned: Params, frozen: Params, images: Any, labels: Any) -> Any:
            logits = forward.logits(
                variant, {**frozen, **tuned}, images, num_blocks=num_blocks, first_trainable=lowest, dtype=dtype
            )
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def step(tuned: Params, momentum: Params, frozen: Params, images: Any, labels: Any, index: Any) -> Any:
            grads = jax.grad(loss)(tuned, frozen, images, labels)
            return optimizer.update(tuned, momentum, grads, settings, jnp.int32(index), rule)

        def predict(tuned: Params, frozen: Params, images: Any) -> Any:
            logits = forward.logits(variant, {**frozen, **tuned}, images, num_blocks=num_blocks, dtype=dtype)
            return logits.argmax(axis=-1)

        return jax.jit(step), jax.jit(predict)


def main() -> None:
    """Answers what is asked of the one-child loop about the case on the command line."""
    given = json.loads(sys.argv[1])
    one = OneChild(cases.read(given["case"]), given.get("makes_batches", False))
    serve({"generation": one.generation, "trained": one.trained})


if __name__ == "__main__":
    main()
