"""Gradients of a batch that passes in parts, one after the other (micro-batches; gradient accumulation).

Only one part's activations are in memory at a time. On a CPU parts that stay in the caches of one core are faster than
the whole batch; on an accelerator a child that would not fit fits. Loss and gradients are means over equal parts, so
they are the whole batch's but for the order of sums: nothing in the model looks across a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from munet import architecture
from munet.training.signature import Signature

Tree = TypeVar("Tree")

# Tokens (patches and class tokens of all images of a part) that a core works on at a time: measured, see
# docs/performance.md. Fewer make the products slower, more fall out of the caches of a core.
TOKENS_PER_CORE = 800


def mean_gradients(
    loss: Callable[[Tree, Array, Array], Float[Array, ""]],
    tuned: Tree,
    images: Float[Array, "batch h w c"],
    labels: Int[Array, " batch"],
    num_parts: int,
) -> tuple[Float[Array, ""], Tree]:
    """The mean loss of a batch and its gradients, computed in `num_parts` parts, which must divide the batch.

    A part takes every `num_parts`-th image, so that a batch which is spread over devices is so in every part.
    """
    # Divided here, a number for each part, and not there where a sum of every array would be.
    both = jax.value_and_grad(lambda *given: loss(*given) / num_parts)
    if num_parts == 1:
        return both(tuned, images, labels)
    images, labels = (leaf.reshape(-1, num_parts, *leaf.shape[1:]) for leaf in (images, labels))

    def add(index: Array, total: Any) -> Any:
        return jax.tree.map(jnp.add, total, both(tuned, images[:, index], labels[:, index]))

    zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0), tuned))
    mean: tuple[Float[Array, ""], Tree] = jax.lax.fori_loop(0, num_parts, add, zero)
    return mean


def parts_of(batch_size: int, at_most: int) -> int:
    """The fewest equal parts of a batch with no more than `at_most` images each."""
    return next(parts for parts in divisors(batch_size) if batch_size // parts <= max(at_most, 1))


def cached_parts(program: Signature, cores: float) -> int:
    """The equal parts in which a batch is fastest on a CPU: those nearest to the best size, for `cores` a child.

    A batch that can hardly be divided, such as a prime number of images, stays whole.
    """
    tokens = architecture.get_variant(program.variant).num_tokens(program.image_size)
    best = TOKENS_PER_CORE * cores / tokens
    return min(divisors(program.batch_size), key=lambda parts: abs(math.log(program.batch_size / parts / best)))


def divisors(number: int) -> list[int]:
    """In ascending order."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
