"""What a round of MUiR keeps for its backward pass: read off traced programs, because networks are of any kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from munet.joint.rounds import Stream
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import Net
from munet.methods.muir.objectives import judged
from munet.training.program import keys

_FLOAT = 4  # bytes


def activation_bytes(learner: Muir, streams: Sequence[Stream]) -> int:
    """Bytes that one replica keeps of a round's batches and of the weights that are made for it; nothing is computed.

    The blocks themselves, with those of challengers, are there once as they are made, and the gradients of blocks and
    of weights beside them.

    Args:
      learner: the method.
      streams: in the order of its parts.
    """
    kept = sum(
        len(part.tasks) * _kept(net, stream, len(part.tasks) > 1)
        for net, part, stream in zip(learner.nets, learner.plan.parts, streams, strict=True)
    )
    experiment = learner.experiment
    candidates = 1 + experiment.challengers * experiment.share if learner.has_search else 1
    blocks = _FLOAT * learner.plan.num_locations * math.prod(learner.plan.block)
    return kept + round((2 + candidates) * blocks)


def _kept(net: Net, stream: Stream, has_tasks: bool) -> int:
    """Bytes of what the forward pass of one task's batch leaves for the backward pass, weights included."""
    axes = 2 if has_tasks else 1  # examples, and tasks
    inputs, targets = (
        jax.ShapeDtypeStruct((stream.batch_size, *array.shape[axes:]), getattr(array, "dtype", np.uint8))
        for array in (stream.images, stream.labels)
    )
    leaves = {path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in net.leaves.items()}
    carry = jax.eval_shape(lambda: net.start(stream.batch_size))
    words = jax.ShapeDtypeStruct((2,), np.uint32)

    def backward(leaves: Any, inputs: Any, targets: Any, carry: Any, words: Any) -> Any:
        def loss(leaves: Any) -> Any:
            return jnp.mean(judged(net, leaves, inputs, targets, carry, keys.wrapped(words)).losses)

        return jax.vjp(loss, leaves)[1]  # a tree whose leaves are what is kept

    left = jax.eval_shape(backward, leaves, inputs, targets, carry, words)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(left))
