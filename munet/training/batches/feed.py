"""Decoding ahead of training: Grain's threads decode the next images while the present ones are in use.

The order is ours (`loader.py`), not Grain's, so that a streamed set is trained on in the same batches as one that is on
the device.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int, UInt8

from munet.data.streamed import StreamedImages
from munet.threads import num_cores


class Groups(Protocol):
    """The images that are wanted one group after the other, by index: a sequence, made as it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, group: int) -> Int[np.ndarray, " k"]: ...


class Feed:
    """Groups of images of a streamed set, in order, decoded ahead by threads; a context that ends them.

    What is decoded and not taken yet is bounded, whatever the size of the set.

    Args:
      images: the set.
      groups: indices of the images of each group; asked for by several threads at a time.
      group_size: images in a group; the last may have fewer.
      ahead: how many groups may be decoded before they are asked for; at least one is.
      num_threads: that decode; 0: one a core.

    Attributes:
      waited: seconds that `take` has waited for images.
    """

    def __init__(self, images: StreamedImages, groups: Groups, *, group_size: int, ahead: int, num_threads: int = 0):
        import grain  # here, because it takes two seconds and most runs stream nothing

        parts = _Parts(images, groups, group_size)
        threads = num_threads or num_cores()
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(ahead, 1) * parts.of_group + threads)
        self._of_group = parts.of_group
        self._parts: Any = iter(grain.MapDataset.source(parts).to_iter_dataset(options))
        self.waited = 0.0

    def take(self, room: UInt8[np.ndarray, "k h w c"]) -> None:
        """Fills `room` with the images of the next group; as many as it has.

        Raises:
          DataError: an image cannot be decoded.
        """
        filled = 0
        for _ in range(self._of_group):
            started = time.perf_counter()
            part = next(self._parts)
            self.waited += time.perf_counter() - started
            room[filled : filled + len(part)] = part
            filled += len(part)

    def close(self) -> None:
        """Ends the threads, each after the part that it is decoding."""
        self._parts.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Parts:
    """What Grain reads from: every group in parts of the same size, so that several threads share one."""

    def __init__(self, images: StreamedImages, groups: Groups, group_size: int):
        self._images, self._groups = images, groups
        self._size = min(images.part, max(group_size, 1))
        self.of_group = -(-group_size // self._size)

    def __len__(self) -> int:
        return len(self._groups) * self.of_group

    def __getitem__(self, part: int) -> UInt8[np.ndarray, "k h w c"]:
        group, number = divmod(int(part), self.of_group)
        return self._images.take(self._groups[group][number * self._size : (number + 1) * self._size])


def host_bytes(images: StreamedImages, *, group_size: int, groups_in_use: int, ahead: int, num_threads: int = 0) -> int:
    """The most that a feed holds decoded: what is in use, what is ahead, and what its threads work on."""
    threads = num_threads or num_cores()
    part = min(images.part, max(group_size, 1))
    return ((groups_in_use + max(ahead, 1)) * group_size + 2 * threads * part) * images.image_bytes
