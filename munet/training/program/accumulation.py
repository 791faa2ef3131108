"""Gradients of a batch that passes in parts, one after the other (micro-batches; gradient accumulation).

Only one part's activations are in memory at a time. On a CPU parts that stay in the caches of one core are faster than
the whole batch; on an accelerator a child that would not fit fits. Nothing in the model looks across a batch, so loss
and gradients are the whole batch's but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Tree = TypeVar("Tree")


def mean_gradients(
    losses: Callable[[Tree, Array, Array], Float[Array, " n"]],
    tuned: Tree,
    images: Float[Array, "batch h w c"],
    labels: Int[Array, " batch"],
    part: int,
) -> tuple[Float[Array, ""], Tree]:
    """The mean loss of a batch and its gradients, computed from at most `part` images at a time.

    Args:
      losses: `(tuned, images, labels)` to the loss of each image.
      tuned: what has gradients.
      images, labels: of the batch.
      part: images at a time; what is missing in the last parts is filled up and counts nothing. A part takes images
        from all over the batch, so that one which is spread over devices is so in every part.
    """
    batch_size = len(labels)
    num_parts = -(-batch_size // part)
    if num_parts == 1:
        return jax.value_and_grad(lambda tuned: losses(tuned, images, labels).mean())(tuned)

    def cut(leaf: Array) -> Array:
        filled = jnp.pad(leaf, ((0, num_parts * part - batch_size), *[(0, 0)] * (leaf.ndim - 1)))
        return filled.reshape(part, num_parts, *leaf.shape[1:])

    # Each image has its share, which is cheaper than to divide all gradients at the end.
    batch = [cut(leaf) for leaf in (images, labels, jnp.full(batch_size, 1 / batch_size))]

    def loss(tuned: Tree, images: Array, labels: Array, shares: Array) -> Float[Array, ""]:
        return (losses(tuned, images, labels) * shares).sum()

    def add(index: Array, total: tuple[Array, Tree]) -> tuple[Array, Tree]:
        found = jax.value_and_grad(loss)(tuned, *(leaf[:, index] for leaf in batch))
        return jax.tree.map(jnp.add, total, found)

    zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0), tuned))
    mean: tuple[Float[Array, ""], Tree] = jax.lax.fori_loop(0, num_parts, add, zero)
    return mean


def part_size(batch_size: int, parts: int, data: int = 1) -> int:
    """Images in each of the parts of a batch, of which the last ones may be filled up.

    Args:
      batch_size: of the whole.
      parts: how many are wanted; there may be fewer in the end.
      data: over how many devices a batch is spread, if it can be evenly; then so can a part.
    """
    size = -(-batch_size // parts)
    return -(-size // data) * data if batch_size % data == 0 else size
