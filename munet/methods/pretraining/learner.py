"""Pre-training as a learner: one stream of all tasks' images, one head for the classes of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, Int

from munet.config.pretrain import Recipe
from munet.joint.learner import Answers, Batch, Component, Deciding, Facts, Group, StreamName
from munet.methods.pretraining import recipe as recipes
from munet.training.program import keys
from munet.types import TaskName
from munet.vit import flops, forward
from munet.vit.architecture import get_variant, path_names

STREAM = "merged"


class Pretrained(NamedTuple):
    """What a round changes.

    Attributes:
      params: of every component, the head included.
      optimizer: AdamW's moments and step count.
    """

    params: Any
    optimizer: Any


class Pretraining(Deciding):
    """Learns to tell the classes of all tasks apart, from scratch.

    Args:
      recipe: what to do.
      tasks: whose images were merged.
      num_classes: of the head.
      steps: length of training, for the schedule.
    """

    def __init__(self, recipe: Recipe, tasks: Group, num_classes: int, steps: int):
        self._recipe, self._num_classes, self._steps = recipe, num_classes, steps
        self._variant = get_variant(recipe.variant)
        self._optimizer = recipes.optimizer(recipe, steps)
        self._rate = recipes.learning_rate(recipe, steps)
        self.groups: tuple[Group, ...] = (tasks,)

    def initial(self, seed: int) -> Pretrained:
        """A fresh state."""
        params = recipes.initial_params(self._recipe, self._num_classes, seed)
        return Pretrained(params, self._optimizer.init(params))

    def train(
        self, state: Pretrained, batches: Mapping[StreamName, Batch]
    ) -> tuple[Pretrained, Mapping[StreamName, Array]]:
        """A step of AdamW on augmented, mixed images."""
        recipe, batch = self._recipe, batches[STREAM]
        purposes = keys.wrapped(batch.words)
        images = recipes.augmented(recipe, batch.images, purposes[0], purposes[1])
        targets = optax.smooth_labels(jax.nn.one_hot(batch.labels, self._num_classes), recipe.label_smoothing)
        images, targets = recipes.mixed(recipe, images, targets, purposes[2])

        def loss_of(params: Any) -> Float[Array, ""]:
            logits = forward.logits(self._variant, params, images, num_blocks=recipe.num_blocks)
            loss: Array = optax.softmax_cross_entropy(logits, targets).mean()
            return loss

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        changes, moments = self._optimizer.update(gradients, state.optimizer, state.params)
        return Pretrained(optax.apply_updates(state.params, changes), moments), {STREAM: loss}

    def measure(
        self,
        state: Pretrained,
        task: TaskName,  # noqa: ARG002
        images: Float[Array, "n size size 3"],
        labels: Int[Array, " n"],
    ) -> Answers:
        """Which of all tasks' classes each image is taken for."""
        logits = forward.logits(self._variant, state.params, images, num_blocks=self._recipe.num_blocks)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return Answers(logits.argmax(axis=1), losses)

    def learning_rate(self, step: int) -> float:
        """AdamW's."""
        return float(self._rate(step))

    def facts(self, state: Pretrained) -> Mapping[TaskName, Facts]:
        """Every task uses all of it."""
        params, (tasks,) = sum(leaf.size for leaf in jax.tree.leaves(state.params)), self.groups
        settings = {"image_size": self._recipe.image_size, "adapter_dim": 0}
        cost = flops.forward(self._variant, path_names(self._recipe.num_blocks), settings, self._num_classes)
        return dict.fromkeys(tasks, Facts(params, params / len(tasks), cost))

    def components(self, state: Pretrained) -> tuple[Component, ...]:
        """The trunk and the head, as a root's file holds them."""
        flat = {name: flatten_dict(tree, sep="/") for name, tree in state.params.items()}
        arrays = {name: {path: np.asarray(leaf) for path, leaf in leaves.items()} for name, leaves in flat.items()}
        return tuple(Component(name, leaves, "init", self.groups[0]) for name, leaves in arrays.items())
