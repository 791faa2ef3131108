"""Batches on the device: the gather and augment programs, and the padded validation batches (DESIGN section 4).

Separate from the train program, which sees only batches: so tasks of any source shape share it. Blocks are augmented
once and used by every child of the generation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from munet import rng
from munet.data import loader
from munet.data.augment import AugmentSettings, augment, prepare
from munet.data.tasks import Split

EVALUATION_BATCH = 256  # images in one evaluation batch, whatever the training batch
_PIECE_BATCHES, _PIECE_BYTES = 8, 64_000_000  # evaluation batches on the device in one dispatch, at most


class Block(NamedTuple):
    """Augmented training batches; only the first `num_steps` of them are filled."""

    images: Float[Array, "block batch size size 3"]
    labels: Int32[Array, "block batch"]
    num_steps: int


class LabelledBatches(NamedTuple):
    """A piece of a set to evaluate on, padded to full batches."""

    images: Float[Array, "batches batch size size 3"]
    labels: Int32[np.ndarray, " counted"]  # of the images that count, in their order; the rest is padding
    num_batches: int  # batches with images that count

    @property
    def counted(self) -> int:
        """How many images count."""
        return len(self.labels)

    def without_padding(self, values: Int32[np.ndarray, "*children batches batch"]) -> Int32[np.ndarray, "*children c"]:
        """What a program gave for each image of the piece, of those that count, in their order."""
        return values.reshape(*values.shape[:-2], -1)[..., : self.counted]


class ResidentImages:
    """The training images of the task in training, on the device; kept from generation to generation."""

    def __init__(self) -> None:
        self._held: tuple[np.ndarray, jax.Array] | None = None

    def of(self, images: UInt8[np.ndarray, "n h w c"]) -> UInt8[Array, "n h w c"]:
        """`images` on the device. Others that are there make room first."""
        if self._held is None or self._held[0] is not images:
            self._held = None
            self._held = images, jnp.asarray(images)
        return self._held[1]


class TrainStream:
    """The batches of one generation, the same for all children that share data settings.

    Args:
      images, labels: the training set; the images stay on the device as uint8.
      settings: augmentation.
      path: key of the order and of the augmentations: (seed, iteration, task, generation[, child]).
      batch_size, block_size: images a step, steps a block.
      image_size, antialias: of the batches.
      class_balanced: whether every class comes equally often (see `loader.balanced_indices`).
    """

    def __init__(
        self,
        images: UInt8[Array, "n h w c"] | UInt8[np.ndarray, "n h w c"],
        labels: Int32[np.ndarray, " n"],
        settings: AugmentSettings,
        path: rng.Path,
        *,
        batch_size: int,
        block_size: int,
        image_size: int,
        antialias: bool,
        class_balanced: bool = False,
    ):
        self._images = jnp.asarray(images)
        self._labels = labels
        self._settings = settings
        self._path = path
        self._batch_size, self._block_size = batch_size, block_size
        self._class_balanced = class_balanced
        self._program = partial(_augment_block, image_size=image_size, antialias=antialias)
        self._key = jax.random.wrap_key_data(jnp.asarray(rng.key_data((*path, "augment"))), impl="threefry2x32")

    def blocks(self, first_step: int, num_steps: int) -> list[tuple[int, int]]:
        """Cuts steps into (first, length) of at most a block each."""
        return [
            (start, min(self._block_size, first_step + num_steps - start))
            for start in range(first_step, first_step + num_steps, self._block_size)
        ]

    def block(self, first_step: int, num_steps: int) -> Block:
        """Augments the batches of steps `first_step` ... `first_step + num_steps - 1`."""
        if self._class_balanced:
            indices = loader.balanced_indices(self._path, self._labels, self._batch_size, first_step, num_steps)
        else:
            indices = loader.batch_indices(self._path, len(self._labels), self._batch_size, first_step, num_steps)
        padded = np.zeros((self._block_size, self._batch_size), np.int32)
        padded[:num_steps] = indices
        images = self._program(
            _gather(self._images, padded), self._key, self._settings, jnp.int32(first_step), jnp.int32(num_steps)
        )
        return Block(images, jnp.asarray(self._labels[padded]), num_steps)


@jax.jit
def _gather(images: UInt8[Array, "n h w c"], indices: Int[Array, "block batch"]) -> UInt8[Array, "block batch h w c"]:
    # Apart from augmentation, so that only this small program depends on the number of images.
    return images[indices]


@partial(jax.jit, static_argnames=("image_size", "antialias"))
def _augment_block(
    images: UInt8[Array, "block batch h w c"],
    key: Array,
    settings: AugmentSettings,
    first_step: Int[Array, ""],
    num_steps: Int[Array, ""],
    *,
    image_size: int,
    antialias: bool,
) -> Float[Array, "block batch size size 3"]:
    block, batch = images.shape[:2]

    def step(index: Array, result: Array) -> Array:
        keys = jax.random.fold_in(key, first_step + index)[None]
        batch_images = augment(images[index][None], keys, settings, image_size=image_size, antialias=antialias)
        return result.at[index].set(batch_images[0])

    empty = jnp.zeros((block, batch, image_size, image_size, 3), jnp.float32)
    return jax.lax.fori_loop(0, num_steps, step, empty)


def evaluation_batches(
    split: Split, *, image_size: int, antialias: bool, max_images: int | None = None
) -> Iterator[LabelledBatches]:
    """The first `max_images` images (None: all), in pieces of one shape whatever the size of the set.

    So sets of every size share a program: how many batches of a piece are filled is a value. Pieces are made one by
    one, as they are asked for: a large set need not fit the device.
    """
    count = len(split.labels) if max_images is None else min(max_images, len(split.labels))
    batch_bytes = EVALUATION_BATCH * image_size * image_size * 3 * 4
    batches = min(max(_PIECE_BYTES // batch_bytes, 1), _PIECE_BATCHES)
    step = batches * EVALUATION_BATCH
    for first in range(0, count, step):
        yield _piece(split, first, min(step, count - first), batches, image_size=image_size, antialias=antialias)


def _piece(split: Split, first: int, count: int, batches: int, *, image_size: int, antialias: bool) -> LabelledBatches:
    shape = (batches, EVALUATION_BATCH)
    used = -(-count // EVALUATION_BATCH)
    images = np.zeros((*shape, *split.images.shape[1:]), np.uint8)
    images.reshape(-1, *images.shape[2:])[:count] = split.images[first : first + count]
    prepared = _prepare_batches(images, jnp.int32(used), image_size=image_size, antialias=antialias)
    return LabelledBatches(prepared, split.labels[first : first + count], used)


@partial(jax.jit, static_argnames=("image_size", "antialias"))
def _prepare_batches(
    images: UInt8[Array, "batches n h w c"], num_batches: Int[Array, ""], *, image_size: int, antialias: bool
) -> Float[Array, "batches n size size 3"]:
    def step(index: Array, result: Array) -> Array:
        return result.at[index].set(prepare(images[index], image_size=image_size, antialias=antialias))

    empty = jnp.zeros((*images.shape[:2], image_size, image_size, 3), jnp.float32)
    return jax.lax.fori_loop(0, num_batches, step, empty)
