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


class Requests(Protocol):
    """The images that are wanted one request after the other, by index: a sequence, made as it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, request: int) -> Int[np.ndarray, " k"]: ...


class Feed:
    """Requests of images of a streamed set, in order, decoded ahead by threads; a context that ends them.

    What is decoded and not taken yet is bounded, whatever the size of the set.

    Args:
      images: the set.
      requests: indices of the images of each request; asked for by several threads at a time.
      request_size: images in a request; the last may have fewer.
      ahead: how many requests may be decoded before they are asked for; at least one is.
      num_threads: that decode; 0: one a core.

    Attributes:
      waited: seconds that `take` has waited for images.
    """

    def __init__(
        self, images: StreamedImages, requests: Requests, *, request_size: int, ahead: int, num_threads: int = 0
    ):
        import grain  # here, because it takes two seconds and most runs stream nothing

        slices = _Slices(images, requests, request_size)
        threads = num_threads or num_cores()
        options = grain.ReadOptions(
            num_threads=threads, prefetch_buffer_size=max(ahead, 1) * slices.per_request + threads
        )
        self._per_request = slices.per_request
        self._slices: Any = iter(grain.MapDataset.source(slices).to_iter_dataset(options))
        self.waited = 0.0

    def take(self, room: UInt8[np.ndarray, "k h w c"]) -> None:
        """Fills `room` with the images of the next request; as many as it has.

        Raises:
          DataError: an image cannot be decoded.
        """
        filled = 0
        for _ in range(self._per_request):
            started = time.perf_counter()
            found = next(self._slices)
            self.waited += time.perf_counter() - started
            room[filled : filled + len(found)] = found
            filled += len(found)

    def close(self) -> None:
        """Ends the threads, each after the slice that it is decoding."""
        self._slices.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Slices:
    """What Grain reads from: every request in slices of the same size, so that several threads share one."""

    def __init__(self, images: StreamedImages, requests: Requests, request_size: int):
        self._images, self._requests = images, requests
        self._size = min(images.slice_size, max(request_size, 1))
        self.per_request = -(-request_size // self._size)

    def __len__(self) -> int:
        return len(self._requests) * self.per_request

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "k h w c"]:
        request, number = divmod(int(index), self.per_request)
        return self._images.take(self._requests[request][number * self._size : (number + 1) * self._size])


def host_bytes(
    images: StreamedImages, *, request_size: int, requests_in_use: int, ahead: int, num_threads: int = 0
) -> int:
    """The most that a feed holds decoded: what is in use, what is ahead, and what its threads work on."""
    threads = num_threads or num_cores()
    size = min(images.slice_size, max(request_size, 1))
    return ((requests_in_use + max(ahead, 1)) * request_size + 2 * threads * size) * images.image_bytes
