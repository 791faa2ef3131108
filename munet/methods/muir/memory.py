"""What a round of MUiR takes of memory: read off traced programs, because networks are of any kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from munet.joint.rounds import Stream
from munet.joint.traced_memory import gradient_bytes, tree_bytes
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import Net
from munet.methods.muir.objectives import judged
from munet.training.program import keys

_FLOAT = 4  # bytes


def activation_bytes(learner: Muir, streams: Sequence[Stream]) -> int:
    """Bytes that one replica takes of a round's batches and of the weights that are made for it; nothing is computed.

    The blocks themselves, with those of challengers, are there once as they are made, and the gradients of blocks and
    of weights beside them.

    Args:
      learner: the method.
      streams: in the order of its parts.
    """
    taken = sum(
        len(part.tasks) * _of_a_task(net, stream, len(part.tasks) > 1)
        for net, part, stream in zip(learner.nets, learner.plan.parts, streams, strict=True)
    )
    experiment = learner.experiment
    candidates = 1 + experiment.challengers * experiment.share if learner.has_search else 1
    blocks = _FLOAT * learner.plan.num_locations * math.prod(learner.plan.block)
    return taken + round((2 + candidates) * blocks)


def _of_a_task(net: Net, stream: Stream, has_tasks: bool) -> int:
    """Bytes of one task's batch, of the weights of its model, and of what their gradient takes at its peak."""
    axes = 2 if has_tasks else 1  # examples, and tasks
    inputs, targets = (
        jax.ShapeDtypeStruct((stream.batch_size, *array.shape[axes:]), getattr(array, "dtype", np.uint8))
        for array in (stream.images, stream.labels)
    )
    leaves = {path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in net.leaves.items()}
    carry = jax.eval_shape(lambda: net.start(stream.batch_size))

    def loss(leaves: Any, inputs: Any, targets: Any, carry: Any, words: Any) -> Any:
        return jnp.mean(judged(net, leaves, inputs, targets, carry, keys.wrapped(words)).losses)

    words = jax.ShapeDtypeStruct((2,), np.uint32)
    return tree_bytes((leaves, inputs, targets)) + gradient_bytes(loss, leaves, inputs, targets, carry, words)
