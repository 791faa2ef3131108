"""How well a root in training tells all classes of all tasks apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Int32

from munet.config.pretrain import Recipe
from munet.data.splits import Split
from munet.training.batches.stream import Resize, evaluation_batches
from munet.types import Quality, TaskName
from munet.vit import forward
from munet.vit.architecture import Variant, get_variant


@dataclass(frozen=True)
class Measured:
    """A split's images that get their own class among all, and their mean cross-entropy (nats, not smoothed)."""

    quality: Quality
    loss: float


def measure(recipe: Recipe, params: Any, split: Split) -> Measured:
    """Measures parameters on a split whose labels count through the classes of all tasks."""
    correct, loss, variant = 0, 0.0, get_variant(recipe.variant)
    for piece in evaluation_batches(split, Resize(recipe.image_size, recipe.antialias)):
        labels = np.zeros(piece.images.shape[:2], np.int32)
        labels.reshape(-1)[: piece.counted] = piece.labels
        answers, losses = _answers(
            variant, recipe.num_blocks, params, piece.images, labels, jnp.int32(piece.num_batches)
        )
        correct += int((piece.without_padding(np.asarray(answers)) == piece.labels).sum())
        loss += float(piece.without_padding(np.asarray(losses)).sum(dtype=np.float64))
    return Measured(Quality(correct, len(split)), loss / len(split))


@partial(jax.jit, static_argnums=(0, 1))
def _answers(
    variant: Variant,
    num_blocks: int,
    params: Any,
    images: Float[Array, "batches n size size 3"],
    labels: Int32[Array, "batches n"],
    num_batches: Int[Array, ""],
) -> tuple[Int32[Array, "batches n"], Float[Array, "batches n"]]:
    """The class that each image of the first batches is taken for, and its loss."""

    def answer(index: Array, results: tuple[Array, Array]) -> tuple[Array, Array]:
        logits = forward.logits(variant, params, images[index], num_blocks=num_blocks)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[index])
        return results[0].at[index].set(logits.argmax(axis=1)), results[1].at[index].set(losses)

    empty = jnp.zeros(labels.shape, jnp.int32), jnp.zeros(labels.shape, jnp.float32)
    return jax.lax.fori_loop(0, num_batches, answer, empty)


def mean_quality(qualities: Mapping[TaskName, Quality]) -> float:
    """Mean over tasks of the share that is right, in [0, 1]."""
    return float(np.mean([quality.value for quality in qualities.values()]))
