"""Batches on the device: the gather and augment programs, and the padded validation batches.

Separate from the train program, which sees only batches: so tasks of any source shape share it. Segments are augmented
once and used by every child of the stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from munet import rng
from munet.config import Config
from munet.data import loader
from munet.data.augment import PLAIN_LAWS, AugmentLaws, AugmentSettings, augment, prepare
from munet.data.streamed import StreamedImages
from munet.data.tasks import Split
from munet.training.batches.decode_ahead import Feed, StepFeed
from munet.training.program import keys
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


class Resize(NamedTuple):
    """How images come to the size at which a model sees them."""

    image_size: int  # pixels on a side
    antialias: bool  # whether they are filtered when they shrink


@dataclass(frozen=True)
class StreamSettings:
    """What the batches of a stream are like.

    Attributes:
      batch_size, segment_size: images a step, steps a segment.
      resize: of the images.
      class_balanced: whether every class comes equally often (see `loader.balanced_indices`).
      num_steps: of the generation: what a streamed set decodes ahead ends there.
      decoding_threads: of a streamed set; 0: one a core.
      laws: of the augmentations.
    """

    batch_size: int
    segment_size: int
    resize: Resize
    class_balanced: bool = False
    num_steps: int = 0
    decoding_threads: int = 0
    laws: AugmentLaws = PLAIN_LAWS


class TrainStream:
    """The batches of one stream: what all children see that share data settings.

    Args:
      images, labels: the training set. Images on a device stay there as uint8, and batches are made there; those of a
        streamed set are decoded ahead of training, and come a segment at a time.
      augmentation: of the images.
      path: key of the order and of the augmentations: (seed, iteration, task, generation[, child]).
      settings: what the batches are like.
    """

    def __init__(
        self,
        images: UInt8[Array, "n h w c"] | UInt8[np.ndarray, "n h w c"] | StreamedImages,
        labels: Int32[np.ndarray, " n"],
        augmentation: AugmentSettings,
        path: rng.Path,
        settings: StreamSettings,
    ):
        self._images = images if isinstance(images, StreamedImages) else jnp.asarray(images)
        # Batches are made where the images lie. None: on the first device, and free to follow what they meet.
        lies = self._images if isinstance(self._images, jax.Array) else None
        self._home = lies.sharding if lies is not None and lies.committed else None
        self._labels = labels
        self._augmentation, self._path, self._settings = augmentation, path, settings
        self._feed: StepFeed | None = None
        self._program = partial(_augment_segment, resize=settings.resize, laws=settings.laws)
        key = jax.device_put(rng.key_data((*path, "augment")), self._home)
        self._key = keys.wrapped(key)

    @property
    def segment_shape(self) -> tuple[int, ...]:
        """Of the images of a segment."""
        size = self._settings.resize.image_size
        return (self._settings.segment_size, self._settings.batch_size, size, size, architecture.CHANNELS)

    def segments(self, first_step: int, num_steps: int) -> list[tuple[int, int]]:
        """Cuts steps into (first, length) of at most a segment each."""
        size = self._settings.segment_size
        return [
            (start, min(size, first_step + num_steps - start))
            for start in range(first_step, first_step + num_steps, size)
        ]

    def segment(self, first_step: int, num_steps: int) -> Segment:
        """Augments the batches of steps `first_step` ... `first_step + num_steps - 1`."""
        padded = np.zeros((self._settings.segment_size, self._settings.batch_size), np.int32)
        padded[:num_steps] = self._indices(first_step, num_steps)
        images = self._program(
            self._gathered(padded, first_step, num_steps),
            self._key,
            self._augmentation,
            # Of NumPy: those of JAX would come from the first device, when that has time.
            np.int32(first_step),
            np.int32(num_steps),
        )
        if self._feed:
            self._feed.sent(images)
        return Segment(images, jax.device_put(self._labels[padded], self._home), num_steps)

    @property
    def waited(self) -> float:
        """Seconds that a streamed set made training wait for images that were not decoded yet."""
        return self._feed.waited if self._feed else 0.0

    def close(self) -> None:
        """Ends the decoding of a streamed set."""
        if self._feed:
            self._feed.close()

    def _indices(self, first_step: int, num_steps: int) -> Int32[np.ndarray, "num_steps batch"]:
        batch_size = self._settings.batch_size
        if self._settings.class_balanced:
            return loader.balanced_indices(self._path, self._labels, batch_size, first_step, num_steps)
        return loader.batch_indices(self._path, len(self._labels), batch_size, first_step, num_steps)

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
                (self._settings.segment_size, self._settings.batch_size),
                range(first_step, max(self._settings.num_steps, first_step + num_steps)),
                num_threads=self._settings.decoding_threads,
            )
        return jnp.asarray(self._feed.segment(num_steps))


@jax.jit
def _gather(
    images: UInt8[Array, "n h w c"], indices: Int[Array, "segment batch"]
) -> UInt8[Array, "segment batch h w c"]:
    # Apart from augmentation, so that only this small program depends on the number of images.
    return images[indices]


@partial(jax.jit, static_argnames=("resize", "laws"))
def _augment_segment(
    images: UInt8[Array, "segment batch h w c"],
    key: Array,
    settings: AugmentSettings,
    first_step: Int[Array, ""] | np.int32,
    num_steps: Int[Array, ""] | np.int32,
    *,
    resize: Resize,
    laws: AugmentLaws,
) -> Float[Array, "segment batch size size 3"]:
    segment, batch = images.shape[:2]
    image_size, antialias = resize

    def step(index: Array, result: Array) -> Array:
        keys = jax.random.fold_in(key, first_step + index)[None]
        own = images[index][None]
        batch_images = augment(own, keys, settings, image_size=image_size, antialias=antialias, laws=laws)
        return result.at[index].set(batch_images[0])

    empty = jnp.zeros((segment, batch, image_size, image_size, 3), jnp.float32)
    return jax.lax.fori_loop(0, num_steps, step, empty)


def evaluation_batches(split: Split, resize: Resize, max_images: int | None = None) -> Iterator[LabelledBatches]:
    """The first `max_images` images (None: all), in pieces of one shape whatever the size of the set.

    So sets of every size share a program: how many batches of a piece are filled is a value. Pieces are made one by
    one, as they are asked for: a large set need not fit the device, nor, if it is streamed, the host.
    """
    count = len(split.labels) if max_images is None else min(max_images, len(split.labels))
    batches = batches_within(
        _PIECE_BYTES, EVALUATION_BATCH, resize.image_size, math.prod(split.images.shape[1:]), at_most=_PIECE_BATCHES
    )
    step = batches * EVALUATION_BATCH
    pieces = [slice(first, min(first + step, count)) for first in range(0, count, step)]
    with ExitStack() as stack:
        feed = None
        if isinstance(split.images, StreamedImages) and pieces:
            indices = [np.arange(piece.start, piece.stop) for piece in pieces]
            feed = stack.enter_context(Feed(split.images, indices, request_size=min(step, count), ahead=1))
        for piece in pieces:
            labels = split.labels[piece]
            padded = np.zeros((batches, EVALUATION_BATCH, *split.images.shape[1:]), np.uint8)
            room = padded.reshape(-1, *padded.shape[2:])[: len(labels)]
            if feed:
                feed.take(room)
            else:
                room[...] = split.images[piece]
            yield _piece(padded, labels, resize)


def segment_size(config: Config, batch_size: int, image_size: int, source_bytes: int = 0) -> int:
    """Steps in a segment of batches: what fits `runtime.block_megabytes`, at most a cycle's cap.

    Args:
      config: the run's.
      batch_size: images a step.
      image_size: of the batches, in pixels on a side.
      source_bytes: of an image that they are made from; 0: not known yet, as many as its pixels in a batch have.
    """
    return batches_within(
        config.runtime.block_megabytes * 1_000_000,
        batch_size,
        image_size,
        source_bytes or image_size * image_size * architecture.CHANNELS,
        at_most=config.experiment.max_batches_per_cycle,
    )


def batches_within(num_bytes: int, batch_size: int, image_size: int, source_bytes: int, *, at_most: int) -> int:
    """How many batches of prepared images (float32) take no more than `num_bytes`; one at least.

    Nor may the images that they are made from, of `source_bytes` each, take more than `_SOURCE_BYTES` together: photos
    on a large canvas can be much larger than what a small model sees of them.
    """
    batch = batch_size * image_size * image_size * architecture.CHANNELS * 4
    return max(1, min(num_bytes // batch, _SOURCE_BYTES // (batch_size * source_bytes), at_most))


def _piece(
    padded: UInt8[np.ndarray, "batches n h w c"], labels: Int32[np.ndarray, " counted"], resize: Resize
) -> LabelledBatches:
    """Full batches, of whose images as many count as there are labels, prepared on the device."""
    used = -(-len(labels) // EVALUATION_BATCH)
    return LabelledBatches(_prepare_batches(padded, jnp.int32(used), resize=resize), labels, used)


@partial(jax.jit, static_argnames="resize")
def _prepare_batches(
    images: UInt8[Array, "batches n h w c"], num_batches: Int[Array, ""], *, resize: Resize
) -> Float[Array, "batches n size size 3"]:
    image_size, antialias = resize

    def step(index: Array, result: Array) -> Array:
        return result.at[index].set(prepare(images[index], image_size=image_size, antialias=antialias))

    empty = jnp.zeros((*images.shape[:2], image_size, image_size, 3), jnp.float32)
    return jax.lax.fori_loop(0, num_batches, step, empty)
