"""Joint fine-tuning of one root: hard parameter sharing (Caruana 1997), one set of adapters for all, or nothing shared.

Every round trains on a batch of each task; the losses of tasks that share parameters are added up, so a task's own norm
and head see the gradient that they would see alone, and shared layers the sum of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Bool, Float, Int

from munet import rng
from munet.config.train import METHODS, Method, TrainExperiment, as_run
from munet.data.augment import AugmentLaws, AugmentSettings, augment
from munet.joint import optimizers
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, StreamName, chosen
from munet.training.program import keys
from munet.training.program import optimizer as evolution
from munet.training.program.optimizer import OptimizerSettings
from munet.types import ComponentName, Hyperparameters, Origin, TaskInfo, TaskName
from munet.vit import flops, forward
from munet.vit.architecture import HEAD, NORM, adapter_name, get_variant, is_adapter, model_leaves, path_names
from munet.vit.init import FlatArrays, init_component

Key = str  # of a component in a state: its name, of a task's own followed by `@` and the task


class FineTuned(NamedTuple):
    """What a round changes, and what it reads.

    Attributes:
      tuned: nested arrays of the components that train.
      fixed: of the others.
      moments: the optimiser's state, for each group.
    """

    tuned: dict[Key, Any]
    fixed: dict[Key, Any]
    moments: tuple[Any, ...]


class FineTuning(Deciding):
    """Fine-tunes a root for several tasks.

    Args:
      experiment: what to do.
      tasks: for which.
      root: its trunk's arrays by component and path, the position embedding for the image size.
      num_rounds: for the schedule.
      restart_every: rounds after which `schedule=restarts` begins anew.
      dtype: of activations and products.
    """

    def __init__(
        self,
        experiment: TrainExperiment,
        tasks: Sequence[TaskInfo],
        root: Mapping[ComponentName, FlatArrays],
        *,
        num_rounds: int,
        restart_every: int,
        dtype: str,
    ):
        self._experiment, self._root, self._dtype = experiment, root, dtype
        self._tasks = {task.name: task for task in tasks}
        self._variant = get_variant(experiment.variant)
        self._settings: Hyperparameters = {
            name: getattr(experiment.defaults, name) for name in type(experiment.defaults).__slots__
        }
        method: Method = experiment.method
        if method not in METHODS:
            raise ValueError(f"no method {method!r}")
        has_adapters = method == "shared_adapters"
        blocks = range(experiment.num_blocks)  # a root's own adapters stay part of it
        self.path = path_names(experiment.num_blocks, [n for n in blocks if has_adapters or adapter_name(n) in root])
        self._own = set(self.path) if method == "separate" else {NORM, HEAD}  # which a task has for itself
        self._trained = {name for name in self.path if not has_adapters or is_adapter(name)} | {NORM, HEAD}
        self._first_trainable = 0 if has_adapters else -1
        together: Group = tuple(self._tasks)
        self.groups: tuple[Group, ...] = tuple((task,) for task in together) if method == "separate" else (together,)
        # `restarts` begins anew with every measurement; the other schedules span the training.
        length = restart_every if self._settings["schedule"] == "restarts" else num_rounds
        self._rates = OptimizerSettings.from_hyperparameters(self._settings, steps_per_cycle=length, num_cycles=1)
        self._optimizer = optimizers.build(
            experiment.optimizer, self._rates, experiment.clip_norm, experiment.weight_decay
        )
        self._augmentation = AugmentSettings.from_hyperparameters(self._settings)
        fidelity = as_run(experiment).fidelity  # the laws of evolution and its baselines
        self._laws = AugmentLaws(fidelity.crop, fidelity.colours)

    def initial(self, seed: int) -> FineTuned:
        """The root, new heads of zeros, and new adapters that change nothing yet."""
        tuned: dict[Key, Any] = {}
        fixed: dict[Key, Any] = {}
        for task in self._tasks:
            for name in self.path:
                (tuned if name in self._trained else fixed)[self.key(task, name)] = self._new(task, name, seed)
        return FineTuned(tuned, fixed, tuple(self._optimizer.init(self._of(tuned, group)) for group in self.groups))

    def key(self, task: TaskName, name: ComponentName) -> Key:
        """What a component of a task is called in a state."""
        return f"{name}@{task}" if name in self._own else name

    def train(
        self, state: FineTuned, batches: Mapping[StreamName, Batch]
    ) -> tuple[FineTuned, Mapping[StreamName, Array]]:
        """A step of the optimiser of each group."""
        tuned, moments = dict(state.tuned), []
        losses: dict[StreamName, Array] = {}
        for group, before in zip(self.groups, state.moments, strict=True):
            own = self._of(state.tuned, group)
            seen = {task: (self._augmented(batches[task]), batches[task].labels) for task in group}

            def loss_of(params: Any, seen: Any = seen) -> tuple[Array, dict[TaskName, Array]]:
                found = {
                    task: optax.softmax_cross_entropy_with_integer_labels(
                        self._logits(params, state.fixed, task, images, trains=True), labels
                    ).mean()
                    for task, (images, labels) in seen.items()
                }
                return jnp.stack(list(found.values())).sum(), found

            gradients, found = jax.grad(loss_of, has_aux=True)(own)
            moves, after = self._optimizer.update(gradients, before, own)
            tuned |= optax.apply_updates(own, moves)
            moments.append(after)
            losses |= found
        return FineTuned(tuned, state.fixed, tuple(moments)), losses

    def measure(
        self, state: FineTuned, task: TaskName, images: Float[Array, "n size size 3"], labels: Int[Array, " n"]
    ) -> Answers:
        """The most probable class of each image; -1, which is wrong, where an output is not finite."""
        logits = self._logits(state.tuned, state.fixed, task, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        is_finite = jnp.isfinite(logits).all(axis=1)
        return Answers(jnp.where(is_finite, logits.argmax(axis=1), -1), losses)

    def keep(self, best: FineTuned, state: FineTuned, is_better: Mapping[Group, Bool[Array, ""]]) -> FineTuned:
        """Of each group on its own: it shares nothing that trains with others."""
        tuned, moments = dict(best.tuned), list(best.moments)
        for place, group in enumerate(self.groups):
            tuned |= chosen(is_better[group], self._of(state.tuned, group), self._of(best.tuned, group))
            moments[place] = chosen(is_better[group], state.moments[place], best.moments[place])
        return FineTuned(tuned, best.fixed, tuple(moments))

    def learning_rate(self, step: int) -> float:
        """Of every group."""
        return float(evolution.learning_rate(self._rates, jnp.int32(step)))

    def facts(self, state: FineTuned) -> Mapping[TaskName, Facts]:
        """By which layers each task uses."""
        parts = self.components(state)
        return {
            task: Facts.of(task, parts, flops.forward(self._variant, self.path, self._settings, info.num_classes))
            for task, info in self._tasks.items()
        }

    def components(self, state: FineTuned) -> tuple[Component, ...]:
        """Every layer once, in path order, task by task."""
        arrays, found = {**state.tuned, **state.fixed}, {}
        for task in self._tasks:
            for name in self.path:
                origin: Origin = "init" if name not in self._root else "clone" if name in self._trained else "root"
                users = (task,) if name in self._own else tuple(self._tasks)
                leaves = flatten_dict(arrays[self.key(task, name)], sep="/")
                flat = {path: np.asarray(leaf) for path, leaf in leaves.items()}
                found[self.key(task, name)] = Component(name, flat, origin, users)
        return tuple(found.values())

    def _of(self, tuned: Mapping[Key, Any], group: Group) -> dict[Key, Any]:
        """What trains of some tasks' models."""
        keys = dict.fromkeys(self.key(task, name) for task in group for name in self.path if name in self._trained)
        return {key: tuned[key] for key in keys}

    def _new(self, task: TaskName, name: ComponentName, seed: int) -> Any:
        flat: FlatArrays
        if name in self._root:
            flat = self._root[name]
        else:
            leaves = model_leaves(self._variant, name, self._settings, self._tasks[task].num_classes)
            words = rng.key_data(("joint", seed, "init", self.key(task, name)))
            flat = init_component(words, self._variant, name, leaves)
        return unflatten_dict({path: np.asarray(flat[path]) for path in sorted(flat)}, sep="/")

    def _augmented(self, batch: Batch) -> Float[Array, "batch size size 3"]:
        key = keys.wrapped(batch.words[0])[None]
        size, antialias = int(self._settings["image_size"]), self._experiment.antialias
        images, laws = batch.images[None], self._laws
        return augment(images, key, self._augmentation, image_size=size, antialias=antialias, laws=laws)[0]

    def _logits(
        self, tuned: Mapping[Key, Any], fixed: Mapping[Key, Any], task: TaskName, images: Array, trains: bool = False
    ) -> Float[Array, "n classes"]:
        keys = {name: self.key(task, name) for name in self.path}
        params = {name: tuned[key] if key in tuned else fixed[key] for name, key in keys.items()}
        return forward.logits(
            self._variant,
            params,
            images,
            num_blocks=self._experiment.num_blocks,
            first_trainable=self._first_trainable if trains else None,
            dtype=self._dtype,
        )
