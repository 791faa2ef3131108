"""What a model is asked, by its task's objective: how inputs are prepared, what a prediction costs, which are right.

Classes (of images) and next symbols have a cross-entropy in nats, values a squared error. Recurrent models go on from
a state (`carry`), which begins as zeros wherever a text is begun.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from munet.data.shifts import shifted
from munet.data.splits import Split
from munet.methods.muir.nets import Leaves, Net

_SHIFT = 4  # pixels by which training images are moved at most; what comes in is reflected
_CHUNK = 250  # examples that are measured at a time
_TEXTS = 10  # pieces of a text that are measured side by side, each from its beginning to its end


class Judged(NamedTuple):
    """What a model's predictions are worth.

    Attributes:
      losses: of each prediction; where an AWD-LSTM trains, the penalty on its activations is added to each.
      classes: or symbols, that are predicted; of values 0.
      carry: what a model goes on with that has a `start`.
    """

    losses: Float[Array, " n"]
    classes: Int[Array, " n"]
    carry: Any


class Arranged(NamedTuple):
    """A split as it is measured: pieces of equal size, one after the other.

    Attributes:
      inputs, targets: of every piece; the last one may be padded.
      counted: predictions that count, the first ones.
    """

    inputs: np.ndarray
    targets: np.ndarray
    counted: int


def judged(
    net: Net, leaves: Leaves, inputs: Array, targets: Array, carry: Any = (), key: Array | None = None
) -> Judged:
    """Predictions of a batch, judged. Traced.

    Args:
      net: the architecture.
      leaves: all of its parameters.
      inputs, targets: as the data have them.
      carry: of a net that has a `start`.
      key: of augmentation and dropout, where the model trains; else it is measured.
    """
    penalties: list[Array] = []
    if net.objective == "value":
        outputs = net.apply(leaves, inputs.astype(net.dtype))
        return Judged((outputs[:, 0] - targets) ** 2, jnp.zeros(targets.shape, jnp.int32), ())
    if net.objective == "next_token":
        scores, carry, *penalties = net.apply(leaves, inputs.astype(jnp.int32), carry=carry, key=key)
    else:
        images = fitted(inputs, net.inputs[0])
        images = images if key is None else augmented(images, key, flip=net.flip)
        images = (images.astype(jnp.float32) - jnp.array(net.means)) / jnp.array(net.deviations)
        scores = net.apply(leaves, images, carry or None, key)
        if net.statistics:
            scores, carry = scores
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, targets)
    for penalty in penalties:
        losses += penalty
    return Judged(losses.reshape(-1), scores.argmax(axis=-1).astype(jnp.int32).reshape(-1), carry)


def fitted(images: UInt8[Array, "batch h w c"], size: int) -> UInt8[Array, "batch size size 3"]:
    """Images in colour of one size: smaller ones get a black edge, larger ones shrink. Traced."""
    height, width, channels = images.shape[1:]
    if max(height, width) > size:
        shape = (len(images), size, size, channels)
        images = jnp.clip(jnp.round(jax.image.resize(images.astype(jnp.float32), shape, "linear")), 0, 255)
        images, height, width = images.astype(jnp.uint8), size, size
    edges = [((size - side) // 2, size - side - (size - side) // 2) for side in (height, width)]
    images = jnp.pad(images, [(0, 0), *edges, (0, 0)])
    return jnp.broadcast_to(images, (*images.shape[:3], 3)) if channels == 1 else images


def augmented(
    images: UInt8[Array, "batch size size 3"], key: Array, *, flip: bool
) -> UInt8[Array, "batch size size 3"]:
    """Images moved by a few pixels, and with probability 1/2 flipped left to right. Traced."""
    for_places, for_flips = jax.random.split(key)
    found = shifted(images, _SHIFT, for_places, "reflect")
    if not flip:
        return found
    is_flipped = jax.random.bernoulli(for_flips, shape=(len(images), 1, 1, 1))
    return jnp.where(is_flipped, found[:, :, ::-1], found)


def windows(text: np.ndarray, rows: int, steps: int) -> np.ndarray:
    """A text as `rows` texts side by side, cut into pieces of `steps`: (pieces, rows, steps); the rest is left out."""
    each = len(text) // rows
    count = each // steps
    cut = text[: rows * each].reshape(rows, each)[:, : count * steps].reshape(rows, count, steps)
    return np.ascontiguousarray(cut.swapaxes(0, 1))


def arranged(net: Net, split: Split) -> Arranged:
    """A split in pieces, on the host."""
    inputs, targets = split.decoded, split.labels
    if net.objective == "next_token":
        rows = min(_TEXTS, len(targets))
        steps = min(net.inputs[0], len(targets) // rows)
        cut = windows(targets, rows, steps)
        return Arranged(windows(inputs, rows, steps), cut, cut.size)
    size = min(_CHUNK, len(targets))
    count = -(-len(targets) // size)

    def pieces(array: np.ndarray) -> np.ndarray:
        padding = [(0, count * size - len(array)), *[(0, 0)] * (array.ndim - 1)]
        return np.pad(array, padding).reshape(count, size, *array.shape[1:])

    return Arranged(pieces(inputs), pieces(targets), len(targets))


def evaluated(
    net: Net, leaves: Leaves, inputs: Array, targets: Array, counted: int, carry: Any = ()
) -> tuple[Array, Array]:
    """Mean loss over what counts of an arranged split, and how many classes or symbols are right. Traced.

    Args:
      net, leaves: the model.
      inputs, targets, counted: of `Arranged`.
      carry: of the training, of which a model with batch norms takes what they have seen; texts begin anew.
    """

    def piece(carry: Any, given: tuple[Array, Array]) -> tuple[Any, tuple[Array, Array]]:
        found = judged(net, leaves, *given, carry=carry)
        return found.carry, (found.losses, found.classes == given[1].reshape(-1))

    start = carry if net.statistics else net.start(inputs.shape[1])
    _, (losses, correct) = jax.lax.scan(piece, start, (inputs, targets))
    return losses.reshape(-1)[:counted].mean(), correct.reshape(-1)[:counted].sum()
