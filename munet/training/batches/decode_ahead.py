"""Decoding ahead of training: Grain's threads decode the next images while the present ones are in use.

The order is ours (`loader.py`), not Grain's, so that a streamed set is trained on in the same batches as one that is on
the device.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from munet.data.streamed import StreamedImages
from munet.threads import num_cores

_WINDOW = 32  # steps whose indices are computed at once, at least: an epoch's order is a large array to look into
_WINDOWS = 4  # that are kept: the one in use and those that threads are ahead in

Indices = Callable[[int, int], Int32[np.ndarray, "num_steps batch"]]


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


class StepFeed:
    """The images of consecutive training steps of a streamed set; while a segment trains, the next is decoded.

    Args:
      images: the training set.
      indices: which of them are in some steps, by the first step and their number.
      shape: steps a segment, images a step.
      steps: from the first to the last.
      num_threads: that decode; 0: one a core.
    """

    def __init__(
        self,
        images: StreamedImages,
        indices: Indices,
        shape: tuple[int, int],
        steps: range,
        *,
        num_threads: int = 0,
    ):
        segment_size, batch_size = shape
        self._shape = (segment_size, batch_size, *images.image_shape)
        self._next_step, self._end_step = steps.start, steps.stop
        self._sent: Array | None = None
        requests = _Steps(indices, steps.start, steps.stop, max(segment_size, _WINDOW))
        self._feed = Feed(images, requests, request_size=batch_size, ahead=segment_size, num_threads=num_threads)

    @property
    def waited(self) -> float:
        """Seconds in which images were waited for."""
        return self._feed.waited

    def continues(self, first_step: int, num_steps: int) -> bool:
        """Whether these steps are the next ones."""
        return first_step == self._next_step and first_step + num_steps <= self._end_step

    def segment(self, num_steps: int) -> UInt8[np.ndarray, "segment batch h w c"]:
        """The images of the next steps; zeros behind them.

        Raises:
          DataError: an image cannot be decoded.
        """
        room = np.zeros(self._shape, np.uint8)
        for step in range(num_steps):
            self._feed.take(room[step])
        self._next_step += num_steps
        if self._sent is not None:
            # The device has begun to train on the segment before: no more than one waits there, however fast we decode.
            self._sent.block_until_ready()
        return room

    def sent(self, images: Float[Array, "segment batch size size 3"]) -> None:
        """Says what was made of the last segment on the device."""
        self._sent = images

    def close(self) -> None:
        """Ends the threads that decode."""
        self._feed.close()


class _Steps:
    """The indices of each step, computed for many steps at once."""

    def __init__(self, indices: Indices, first_step: int, end_step: int, window: int):
        self._indices, self._first, self._end, self._window = indices, first_step, end_step, window
        self._held: dict[int, Int32[np.ndarray, "num_steps batch"]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._end - self._first

    def __getitem__(self, step: int) -> Int32[np.ndarray, " batch"]:
        number, place = divmod(step, self._window)
        with self._lock:
            window = self._held.get(number)
            if window is None:
                first = self._first + number * self._window
                window = self._held[number] = self._indices(first, min(self._window, self._end - first))
                # A thread that lags behind may ask for the oldest, and lose it at once.
                while len(self._held) > _WINDOWS:
                    del self._held[min(self._held)]
            return window[place]
