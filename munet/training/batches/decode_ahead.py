"""Images from wherever they are to the arrays that go to the device: training steps, and sets that are evaluated on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from munet.data.streamed import StreamedImages
from munet.training.batches.feed import Feed

_WINDOW = 32  # steps whose indices are computed at once, at least: an epoch's order is a large array to look into
_WINDOWS = 4  # that are kept: the one in use and those that threads are ahead in

Indices = Callable[[int, int], Int32[np.ndarray, "num_steps batch"]]


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
        windows = _Steps(indices, steps.start, steps.stop, max(segment_size, _WINDOW))
        self._feed = Feed(images, windows, request_size=batch_size, ahead=segment_size, num_threads=num_threads)

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

    def __getitem__(self, group: int) -> Int32[np.ndarray, " batch"]:
        number, place = divmod(group, self._window)
        with self._lock:
            window = self._held.get(number)
            if window is None:
                first = self._first + number * self._window
                window = self._held[number] = self._indices(first, min(self._window, self._end - first))
                while (
                    len(self._held) > _WINDOWS
                ):  # a thread that lags behind may ask for the oldest, and lose it at once
                    del self._held[min(self._held)]
            return window[place]


class PieceFeed:
    """Consecutive pieces of a streamed split, each decoded while the one before is used.

    Args:
      images: of the split.
      pieces: first image and number of images of each.
    """

    def __init__(self, images: StreamedImages, pieces: Sequence[tuple[int, int]]):
        indices = [np.arange(first, first + count) for first, count in pieces]
        self._shapes = iter([(count, *images.image_shape) for _, count in pieces])
        self._feed = Feed(images, indices, request_size=max((count for _, count in pieces), default=0), ahead=1)

    def next(self) -> UInt8[np.ndarray, "k h w c"]:
        """The images of the next piece.

        Raises:
          DataError: an image cannot be decoded.
        """
        room = np.empty(next(self._shapes), np.uint8)
        self._feed.take(room)
        return room

    def close(self) -> None:
        """Ends the threads that decode."""
        self._feed.close()
