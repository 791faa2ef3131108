"""Images that stay encoded where they lie, for sets that are too large to hold decoded; they read like an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64, UInt8

from munet.data.images import Pixels
from munet.threads import in_threads

SLICE_BYTES = 1_000_000  # decoded at a time by one thread: enough that handing it over costs nothing beside

Read = Callable[[Sequence[int]], Sequence[Pixels]]


@dataclass(frozen=True, eq=False)
class StreamedImages:
    """The images of a split, decoded whenever they are asked for and never all at once.

    Indexing and iterating give what the decoded array would, bit for bit.

    Attributes:
      read: decodes some records, given by number, in that order; called by several threads at a time. May raise
        `DataError`.
      records: the record of each image.
      image_shape: height, width and channels of every image; with one channel, the first of those that are decoded.
    """

    read: Read
    records: Int64[np.ndarray, " n"]
    image_shape: tuple[int, int, int]

    @classmethod
    def of_array(cls, images: UInt8[np.ndarray, "n h w c"]) -> StreamedImages:
        """Images that are decoded in the host's memory, but too many for a device's."""
        height, width, channels = images.shape[1:]
        return cls(lambda numbers: list(images[numbers]), np.arange(len(images)), (height, width, channels))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the array that all images would make, decoded."""
        return (len(self.records), *self.image_shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes of the array that all images would make, decoded."""
        return len(self.records) * self.image_bytes

    @property
    def image_bytes(self) -> int:
        """Size in bytes of one decoded image."""
        height, width, channels = self.image_shape
        return height * width * channels

    @property
    def slice_size(self) -> int:
        """How many images a thread decodes at a time."""
        return max(SLICE_BYTES // self.image_bytes, 1)

    def __len__(self) -> int:
        return len(self.records)

    def select(self, indices: Int[np.ndarray, " k"]) -> StreamedImages:
        """Some of the images, not decoded yet."""
        return StreamedImages(self.read, self.records[indices], self.image_shape)

    def take(self, indices: Int[np.ndarray, " k"]) -> UInt8[np.ndarray, "k h w c"]:
        """Decodes some images, in the thread that asks.

        Raises:
          DataError: one of them cannot be decoded, or its file has changed.
        """
        taken = np.empty((len(indices), *self.image_shape), np.uint8)
        for place, image in zip(taken, self.read(self.records[indices].tolist()), strict=True):
            place[...] = image[..., : self.image_shape[2]]  # grey among colours: the one channel is repeated
        return taken

    def __getitem__(self, key: int | np.integer | slice | Int[np.ndarray, " k"]) -> UInt8[np.ndarray, "..."]:
        if isinstance(key, int | np.integer):
            return self.take(np.array([range(len(self))[key]]))[0]
        indices = np.arange(len(self))[key]
        taken = np.empty((len(indices), *self.image_shape), np.uint8)
        for start, found in self._slices(indices):
            taken[start : start + len(found)] = found
        return taken

    def __iter__(self) -> Iterator[Pixels]:
        for _, found in self._slices(np.arange(len(self))):
            yield from found

    def _slices(self, indices: Int[np.ndarray, " k"]) -> Iterator[tuple[int, UInt8[np.ndarray, "slice h w c"]]]:
        """Where each slice begins, and its images; from all cores, a few slices ahead."""
        starts = range(0, len(indices), self.slice_size)
        return zip(
            starts, in_threads(lambda start: self.take(indices[start : start + self.slice_size]), starts), strict=True
        )
