"""What a client may send, and what it is answered otherwise: sizes, times, how much may wait.

The body is counted while it arrives, whatever its header claims, and dropped once it is too large.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException

_DRAIN_SECONDS = 3.0  # that a client which sends too much may go on, so that it reads the answer and no broken pipe


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
      body_bytes: of one request.
      images: of one request.
      pixels: of one image, decoded.
      queue: images that are being read or wait, all requests together.
      held_bytes: of all bodies that are in memory.
      body_seconds: within which a body has to arrive.
    """

    body_bytes: int = 32 << 20
    images: int = 64
    pixels: int = 50_000_000
    queue: int = 1024
    held_bytes: int = 512 << 20
    body_seconds: float = 30.0


class TooLargeError(HTTPException):
    """413: a body, a request or an image beyond a limit."""

    def __init__(self, text: str):
        super().__init__(413, text)


class BusyError(HTTPException):
    """429: as much as may wait is waiting; the header says when to come again."""

    def __init__(self, text: str):
        super().__init__(429, text, {"Retry-After": "1"})


class BodyLimit:
    """ASGI middleware that counts the bytes of bodies and the seconds that they take.

    What exceeds a limit is raised where the application reads the body, so that it is answered like all other errors.

    Args:
      app: what comes behind.
      limits: those to keep.
    """

    def __init__(self, app: Any, limits: Limits):
        self._app, self._limits, self._held = app, limits, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline, size = time.monotonic() + self._limits.body_seconds, 0

        async def limited() -> Any:
            nonlocal size
            if (declared := _declared_length(scope)) > self._limits.body_bytes:
                await _drain(receive)
                raise self._too_large(declared)
            try:
                message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                raise HTTPException(408, f"The body took more than {self._limits.body_seconds:g} s.") from None
            arrived = len(message.get("body", b""))
            size, self._held = size + arrived, self._held + arrived
            if size > self._limits.body_bytes:
                await _drain(receive)
                raise self._too_large(size)
            if self._held > self._limits.held_bytes:
                raise BusyError("Too many bytes are being received; try again.")
            return message

        try:
            await self._app(scope, limited, send)
        finally:
            self._held -= size

    def _too_large(self, size: int) -> TooLargeError:
        return TooLargeError(f"The body has {size:,} bytes or more; at most {self._limits.body_bytes:,} are taken.")


def _declared_length(scope: Any) -> int:
    """What the header says; 0 if it says nothing that can be read."""
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() and len(values[0]) < 20 else 0


async def _drain(receive: Any) -> None:
    """Drops what a client still sends, for a while."""
    until = time.monotonic() + _DRAIN_SECONDS
    more = True
    while more and (left := until - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError:
            return
        more = message["type"] == "http.request" and message.get("more_body", False)
