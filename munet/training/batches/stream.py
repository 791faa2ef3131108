"""Batches on the device: the gather and augment programs, and the padded validation batches (DESIGN section 4).

Separate from the train program, which sees only batches: so tasks of any source shape share it. Segments are augmented
once and used by every child of the generation.
"""

from __future__ import annotations

import math
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
from munet.data.streamed import StreamedImages
from munet.data.tasks import Split
from munet.training.batches.decode_ahead import Reader, StepFeed
from munet.vit import architecture

EVALUATION_BATCH = 256  # images in one evaluation batch, whatever the training batch
_PIECE_BATCHES, _PIECE_BYTES = 8, 64_000_000  # evaluation batches on the device in one dispatch, at most
_SOURCE_BYTES = 512_000_000  # of the undistorted images of a segment, at most


class Segment(NamedTuple):
    """Augmented training batches; only the first `num_steps` of them are filled."""

    images: Float[Array, "segment batch size size 3"]
    labels: Int32[Array, "segment batch"]
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


class TrainStream:
    """The batches of one generation, the same for all children that share data settings.

    Args:
      images, labels: the training set. Images on the device stay there as uint8; those of a streamed set are decoded
        ahead of training, and come a segment at a time.
      settings: augmentation.
      path: key of the order and of the augmentations: (seed, iteration, task, generation[, child]).
      batch_size, segment_size: images a step, steps a segment.
      image_size, antialias: of the batches.
      class_balanced: whether every class comes equally often (see `loader.balanced_indices`).
      num_steps: of the generation: what a streamed set decodes ahead ends there.
      decoding_threads: of a streamed set; 0: one a core.
    """

    def __init__(
        self,
        images: UInt8[Array, "n h w c"] | UInt8[np.ndarray, "n h w c"] | StreamedImages,
        labels: Int32[np.ndarray, " n"],
        settings: AugmentSettings,
        path: rng.Path,
        *,
        batch_size: int,
        segment_size: int,
        image_size: int,
        antialias: bool,
        class_balanced: bool = False,
        num_steps: int = 0,
        decoding_threads: int = 0,
    ):
        self._images = images if isinstance(images, StreamedImages) else jnp.asarray(images)
        self._labels = labels
        self._settings = settings
        self._path = path
        self._batch_size, self._segment_size, self._image_size = batch_size, segment_size, image_size
        self._class_balanced = class_balanced
        self._num_steps, self._decoding_threads = num_steps, decoding_threads
        self._feed: StepFeed | None = None
        self._program = partial(_augment_segment, image_size=image_size, antialias=antialias)
        self._key = jax.random.wrap_key_data(jnp.asarray(rng.key_data((*path, "augment"))), impl="threefry2x32")

    @property
    def segment_shape(self) -> tuple[int, ...]:
        """Of the images of a segment."""
        return (self._segment_size, self._batch_size, self._image_size, self._image_size, architecture.CHANNELS)

    def segments(self, first_step: int, num_steps: int) -> list[tuple[int, int]]:
        """Cuts steps into (first, length) of at most a segment each."""
        return [
            (start, min(self._segment_size, first_step + num_steps - start))
            for start in range(first_step, first_step + num_steps, self._segment_size)
        ]

    def segment(self, first_step: int, num_steps: int) -> Segment:
        """Augments the batches of steps `first_step` ... `first_step + num_steps - 1`."""
        padded = np.zeros((self._segment_size, self._batch_size), np.int32)
        padded[:num_steps] = self._indices(first_step, num_steps)
        images = self._program(
            self._gathered(padded, first_step, num_steps),
            self._key,
            self._settings,
            jnp.int32(first_step),
            jnp.int32(num_steps),
        )
        if self._feed:
            self._feed.sent(images)
        return Segment(images, jnp.asarray(self._labels[padded]), num_steps)

    @property
    def waited(self) -> float:
        """Seconds that a streamed set made training wait for images that were not decoded yet."""
        return self._feed.waited if self._feed else 0.0

    def close(self) -> None:
        """Ends the decoding of a streamed set."""
        if self._feed:
            self._feed.close()

    def _indices(self, first_step: int, num_steps: int) -> Int32[np.ndarray, "num_steps batch"]:
        if self._class_balanced:
            return loader.balanced_indices(self._path, self._labels, self._batch_size, first_step, num_steps)
        return loader.batch_indices(self._path, len(self._labels), self._batch_size, first_step, num_steps)

    def _gathered(
        self, padded: Int32[np.ndarray, "segment batch"], first_step: int, num_steps: int
    ) -> UInt8[Array, "segment batch h w c"]:
        if not isinstance(self._images, StreamedImages):
            return _gather(self._images, padded)
        if self._feed is None or not self._feed.continues(first_step, num_steps):
            self.close()
            self._feed = StepFeed(
                self._images,
                self._indices,
                batch_size=self._batch_size,
                segment_size=self._segment_size,
                first_step=first_step,
                end_step=max(self._num_steps, first_step + num_steps),
                num_threads=self._decoding_threads,
            )
        return jnp.asarray(self._feed.segment(num_steps))


@jax.jit
def _gather(
    images: UInt8[Array, "n h w c"], indices: Int[Array, "segment batch"]
) -> UInt8[Array, "segment batch h w c"]:
    # Apart from augmentation, so that only this small program depends on the number of images.
    return images[indices]


@partial(jax.jit, static_argnames=("image_size", "antialias"))
def _augment_segment(
    images: UInt8[Array, "segment batch h w c"],
    key: Array,
    settings: AugmentSettings,
    first_step: Int[Array, ""],
    num_steps: Int[Array, ""],
    *,
    image_size: int,
    antialias: bool,
) -> Float[Array, "segment batch size size 3"]:
    segment, batch = images.shape[:2]

    def step(index: Array, result: Array) -> Array:
        keys = jax.random.fold_in(key, first_step + index)[None]
        batch_images = augment(images[index][None], keys, settings, image_size=image_size, antialias=antialias)
        return result.at[index].set(batch_images[0])

    empty = jnp.zeros((segment, batch, image_size, image_size, 3), jnp.float32)
    return jax.lax.fori_loop(0, num_steps, step, empty)


def evaluation_batches(
    split: Split, *, image_size: int, antialias: bool, max_images: int | None = None
) -> Iterator[LabelledBatches]:
    """The first `max_images` images (None: all), in pieces of one shape whatever the size of the set.

    So sets of every size share a program: how many batches of a piece are filled is a value. Pieces are made one by
    one, as they are asked for: a large set need not fit the device, nor, if it is streamed, the host.
    """
    count = len(split.labels) if max_images is None else min(max_images, len(split.labels))
    batches = batches_within(
        _PIECE_BYTES, EVALUATION_BATCH, image_size, math.prod(split.images.shape[1:]), at_most=_PIECE_BATCHES
    )
    step = batches * EVALUATION_BATCH
    with Reader(split.images, count, step) as reader:
        for first in range(0, count, step):
            length = min(step, count - first)
            yield _piece(split, first, length, batches, reader, image_size=image_size, antialias=antialias)


def batches_within(num_bytes: int, batch_size: int, image_size: int, source_bytes: int, *, at_most: int) -> int:
    """How many batches of prepared images (float32) take no more than `num_bytes`; one at least.

    Nor may the images that they are made from, of `source_bytes` each, take more than `_SOURCE_BYTES` together: photos
    on a large canvas can be much larger than what a small model sees of them.
    """
    batch = batch_size * image_size * image_size * architecture.CHANNELS * 4
    return max(1, min(num_bytes // batch, _SOURCE_BYTES // (batch_size * source_bytes), at_most))


def _piece(
    split: Split, first: int, count: int, batches: int, reader: Reader, *, image_size: int, antialias: bool
) -> LabelledBatches:
    used = -(-count // EVALUATION_BATCH)
    images = np.zeros((batches, EVALUATION_BATCH, *split.images.shape[1:]), np.uint8)
    reader.read(images.reshape(-1, *images.shape[2:])[:count])
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
