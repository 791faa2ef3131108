"""Rounds: one batch of every stream each. Which images, with which random words, and where their pixels wait.

What a stream draws depends on the seed, its own name and the round only: another stream changes no batch of it. Sets
that fit lie on the devices as uint8, and rounds gather from them; others are decoded ahead, a block of rounds at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Int32, UInt8, UInt32

from munet import rng
from munet.data import loader
from munet.data.splits import Images
from munet.data.streamed import StreamedImages
from munet.joint.learner import Batch, StreamName
from munet.training.batches.decode_ahead import StepFeed
from munet.training.batches.resident import is_resident
from munet.training.program import keys


@dataclass(frozen=True)
class Stream:
    """Training images from which every round has a batch.

    Attributes:
      name: of the task, or of what was merged.
      images, labels: the training set.
      batch_size: images a round.
      path: of its draws, from the seed of a replica.
      purposes: for each of which a round has random words.
      is_hashed: whether the words of every round are hashes of its path, made on the host (as pre-training's have ever
        been); else the devices fold the round into one hash, which costs nothing where there are many small streams.
      class_balanced: whether every class comes equally often (`loader.balanced_indices`).
      is_ordered: whether rounds take the set in its own order, batch after batch, and begin anew where less than a
        batch is left: nothing is drawn then, and a batch of the whole set is all of it in every round.
      num_tasks: that have an example each in every one that is counted here, where tasks were merged side by side.
    """

    name: StreamName
    images: Images
    labels: Int32[np.ndarray, " n"]
    batch_size: int
    path: Callable[[int], rng.Path]
    purposes: tuple[str, ...] = ("augment",)
    class_balanced: bool = False
    is_hashed: bool = False
    is_ordered: bool = False
    num_tasks: int = 1

    def indices(self, seed: int, first: int, count: int) -> Int32[np.ndarray, "rounds batch"]:
        """Which images are in some consecutive rounds."""
        if self.is_ordered:
            batches = np.arange(first, first + count) % (len(self.labels) // self.batch_size)
            return (batches[:, None] * self.batch_size + np.arange(self.batch_size)).astype(np.int32)
        if self.class_balanced:
            return loader.balanced_indices(self.path(seed), self.labels, self.batch_size, first, count)
        return loader.batch_indices(self.path(seed), len(self.labels), self.batch_size, first, count)

    def key(self, seed: int) -> UInt32[np.ndarray, "purposes 2"]:
        """The words into which the devices fold a round."""
        return np.stack([rng.key_data((*self.path(seed), purpose)) for purpose in self.purposes])

    def words(self, seed: int, first: int, count: int) -> UInt32[np.ndarray, "rounds purposes 2"]:
        """The random words of some consecutive rounds, hashed."""
        path, steps = self.path(seed), range(first, first + count)
        words = [[rng.key_data((*path, purpose, step)) for purpose in self.purposes] for step in steps]
        return np.array(words, np.uint32).reshape(count, len(self.purposes), 2)


class Set(NamedTuple):
    """All training images of a stream, on the device."""

    images: UInt8[Array, "n h w c"]
    labels: Int32[Array, " n"]


class Picked(NamedTuple):
    """What a block of rounds has of a stream; every leaf may have a leading replica axis.

    Attributes:
      indices: into the stream's set; of a streamed set the labels.
      images: of a streamed set, decoded; None: they are in the set.
      words: random ones, of every round; where `first` is given, those that rounds are folded into.
      first: round of the block.
    """

    indices: Int32[Array | np.ndarray, "rounds batch"]
    words: UInt32[Array | np.ndarray, "*rounds purposes 2"]
    images: UInt8[Array | np.ndarray, "rounds batch h w c"] | None = None
    first: UInt32[Array | np.ndarray, ""] | None = None


Sets = Mapping[StreamName, Set | None]


def batch(held: Set | None, picked: Picked, index: Int[Array, ""]) -> Batch:
    """What round `index` of a block has of a stream. Traced."""
    chosen = jnp.asarray(picked.indices)[index]
    if picked.first is None:
        words = jnp.asarray(picked.words)[index]
    else:
        purposes = keys.wrapped(picked.words)
        words = jax.random.key_data(jax.vmap(jax.random.fold_in, (0, None))(purposes, picked.first + index))
    if held is None:
        if picked.images is None:
            raise ValueError("a stream whose set is not on the device brings its images")
        return Batch(jnp.asarray(picked.images)[index], chosen, words)
    return Batch(held.images[chosen], held.labels[chosen], words)


def resident(streams: Sequence[Stream], limit: float) -> list[Stream]:
    """Those whose sets lie on every device: in order, what is decoded and fits what the others leave of the limit.

    Args:
      streams: of every round.
      limit: bytes of all those sets together.
    """
    found = []
    for stream in streams:
        if isinstance(stream.images, np.ndarray) and is_resident(stream.images, limit):
            limit -= stream.images.nbytes
            found.append(stream)
    return found


class Rounds:
    """The rounds of a training, a block at a time.

    Args:
      streams: of every round, in order.
      seeds: of the replicas.
      size: rounds in a block, at most: what its arrays are made for.
      num_rounds: after which nothing is decoded ahead.
      mesh: replicas along `child`, batches along `data`.
      limit: bytes of the sets that lie on each device together; what does not fit, in order, is streamed.
      num_threads: that decode streamed sets; 0: one a core.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        seeds: Sequence[int],
        *,
        size: int,
        num_rounds: int,
        mesh: Mesh,
        limit: float,
        num_threads: int = 0,
    ):
        self._streams, self._seeds, self._size, self._num_rounds = streams, seeds, size, num_rounds
        self._num_threads = num_threads
        self._keys = {(stream.name, seed): stream.key(seed) for stream in streams for seed in seeds}
        self._feeds: dict[tuple[StreamName, int], StepFeed] = {}
        everywhere = NamedSharding(mesh, PartitionSpec())
        lead = ("child",) if len(seeds) > 1 else ()
        self._whole = NamedSharding(mesh, PartitionSpec(*lead))
        self._cut = NamedSharding(mesh, PartitionSpec(*lead, None, "data"))
        self.sets: dict[StreamName, Set | None] = {}
        self._streamed: dict[StreamName, StreamedImages] = {}
        on_devices = {stream.name for stream in resident(streams, limit)}
        for stream in streams:
            if stream.name in on_devices:
                self.sets[stream.name] = Set(*jax.device_put((stream.images, stream.labels), everywhere))
            else:
                images = stream.images
                self.sets[stream.name] = None
                self._streamed[stream.name] = (
                    images if isinstance(images, StreamedImages) else StreamedImages.of_array(images)
                )

    def block(self, first: int, count: int) -> dict[StreamName, Picked]:
        """What rounds `first` ... `first + count - 1` have of every stream, on the devices.

        Raises:
          DataError: an image of a streamed set cannot be decoded.
        """
        picked = {stream.name: self._stacked(self._picked(stream, first, count)) for stream in self._streams}
        # One call for all: each costs a fifth of a millisecond, and there may be hundreds of streams.
        placed: dict[StreamName, Picked] = jax.device_put(
            picked, {name: self._homes(one) for name, one in picked.items()}
        )
        return placed

    def close(self) -> None:
        """Ends the threads that decode."""
        for feed in self._feeds.values():
            feed.close()

    def _picked(self, stream: Stream, first: int, count: int) -> list[Picked]:
        return [self._of_replica(stream, seed, first, count) for seed in self._seeds]

    def _of_replica(self, stream: Stream, seed: int, first: int, count: int) -> Picked:
        chosen = np.zeros((self._size, stream.batch_size), np.int32)
        chosen[:count] = stream.indices(seed, first, count)
        start = None if stream.is_hashed else np.array(first, np.uint32)
        if stream.is_hashed:
            words = np.zeros((self._size, len(stream.purposes), 2), np.uint32)
            words[:count] = stream.words(seed, first, count)
        else:
            words = self._keys[stream.name, seed]
        if stream.name not in self._streamed:
            return Picked(chosen, words, first=start)
        return Picked(stream.labels[chosen], words, self._decoded(stream, seed, first, count), start)

    def _decoded(self, stream: Stream, seed: int, first: int, count: int) -> UInt8[np.ndarray, "rounds batch h w c"]:
        key = stream.name, seed
        feed = self._feeds.get(key)
        if feed is None or not feed.continues(first, count):
            if feed is not None:
                feed.close()
            feed = self._feeds[key] = StepFeed(
                self._streamed[stream.name],
                partial(stream.indices, seed),
                (self._size, stream.batch_size),
                range(first, max(self._num_rounds, first + count)),
                num_threads=self._num_threads,
            )
        return feed.segment(count)

    def _homes(self, picked: Picked) -> Any:
        """Where each of its arrays lies: replicas along `child`, images along `data`."""
        images, first = (None if picked.images is None else self._cut), (None if picked.first is None else self._whole)
        return Picked(self._cut, self._whole, images, first)  # type: ignore[arg-type]  # a tree of places

    def _stacked(self, picked: list[Picked]) -> Picked:
        """With a replica axis where there are several."""
        if len(picked) == 1:
            return picked[0]
        stacked: Picked = jax.tree.map(lambda *leaves: np.stack(leaves), *picked)
        return stacked
