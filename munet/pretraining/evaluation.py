"""How well a root in training tells all classes of all tasks apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from munet.architecture import Variant, get_variant
from munet.data.splits import Split
from munet.models import vit
from munet.pretraining.config import Recipe
from munet.training.stream import evaluation_batches
from munet.types import Quality


@dataclass(frozen=True)
class Measured:
    """A split's images that get their own class among all, and their mean cross-entropy (nats, not smoothed)."""

    quality: Quality
    loss: float


def measure(recipe: Recipe, params: Any, split: Split) -> Measured:
    """Measures parameters on a split whose labels count through the classes of all tasks."""
    correct, loss, variant = 0, 0.0, get_variant(recipe.variant)
    for piece in evaluation_batches(split, image_size=recipe.image_size, antialias=recipe.antialias):
        counted = _count(variant, recipe.num_blocks, params, *piece[:3], jnp.int32(piece.num_batches))
        correct, loss = correct + int(counted[0]), loss + float(counted[1])
    return Measured(Quality(correct, len(split)), loss / len(split))


@partial(jax.jit, static_argnums=(0, 1))
def _count(
    variant: Variant,
    num_blocks: int,
    params: Any,
    images: Float[Array, "batches n size size 3"],
    labels: Int[Array, "batches n"],
    weights: Float[Array, "batches n"],
    num_batches: Int[Array, ""],
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """Images right, and the sum of their losses, over the first batches; padding has weight 0."""

    def add(index: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        logits = vit.logits(variant, params, images[index], num_blocks=num_blocks)
        is_right = (logits.argmax(axis=1) == labels[index]) & (weights[index] > 0)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[index])
        return sums[0] + is_right.sum(), sums[1] + (losses * weights[index]).sum()

    return jax.lax.fori_loop(0, num_batches, add, (jnp.int32(0), jnp.float32(0)))


def mean_quality(qualities: dict[str, Quality] | Any) -> float:
    """Mean over tasks of the share that is right, in [0, 1]."""
    return float(np.mean([quality.value for quality in qualities.values()]))
