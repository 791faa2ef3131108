"""How far a download is, on standard error: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_PAUSE = 10.0  # seconds between lines


class Meter:
    """Shows a transfer while it lasts; a context manager. Nothing is shown of one that is over at once."""

    def __init__(self, what: str, stream: TextIO | None = None):
        self._what, self._stream = what, stream or sys.stderr
        self._next = time.monotonic() + (0.5 if self._stream.isatty() else 2.0)
        self._is_shown = False

    def show(self, done: int, total: int | None) -> None:
        """Says how many bytes are there."""
        now = time.monotonic()
        if now < self._next:
            return
        share = f"{done / total:4.0%} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
        if self._stream.isatty():
            self._next = now + 0.25
            self._stream.write(f"\r\x1b[2K{self._what}: {share}")
        else:
            self._next = now + _PAUSE
            self._stream.write(f"{self._what}: {share}\n")
        self._stream.flush()
        self._is_shown = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown and self._stream.isatty():
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
