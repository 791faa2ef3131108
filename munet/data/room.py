"""Room for images that are being decoded, by all threads together: many large ones at a time would fill the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_PIXELS = 1 << 26  # at a time; each takes up to some 8 bytes while it is decoded and turned into RGB


class Room:
    """Pixels that may be worked on at a time; an image with more than all of them is worked on alone."""

    def __init__(self, pixels: int):
        self._pixels = pixels
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def room_for(self, pixels: int) -> Iterator[None]:
        """Waits until there is room for an image, and keeps it while the block lasts; not to be nested."""
        pixels = min(pixels, self._pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + pixels <= self._pixels)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


DECODING = Room(_MAX_PIXELS)
