"""Lets a test step in before every system call that the store makes, to count it, fail it, or end the process there."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

# Everything the store does to a disk goes through these.
WRITES = ("open", "write", "fsync", "replace", "link", "mkdir", "unlink", "ftruncate", "rmdir")
READS = ("stat", "fstat", "scandir", "listdir", "utime", "flock", "io.open", "io.read")

Hook = Callable[[str, int, Callable[..., Any], tuple[Any, ...]], Any]


@contextlib.contextmanager
def watched(hook: Hook, names: tuple[str, ...] = WRITES) -> Iterator[list[str]]:
    """Calls `hook` before each call of some names: with the name, its number (from 1), the real function and arguments.

    Nothing is really brought to the disk meanwhile: neither a kill nor an error loses what the kernel has.

    Args:
      hook: what it raises, the call raises; what it gives instead of None, the call gives.
      names: of `WRITES` and `READS`.

    Yields:
      The names of the calls so far.
    """
    calls: list[str] = []

    def step(name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        calls.append(name)
        return hook(name, len(calls), real, args)

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            instead = step(name, real, args)
            if instead is not None:
                return instead
            if name == "io.open" and "io.read" in names and _is_binary_reading(args, kwargs):
                return io.BufferedReader(_Reader(args[0], lambda: step("io.read", real, args)))
            return None if name == "fsync" else real(*args, **kwargs)

        return call

    places = {name: _place(name) for name in names if name != "io.read"}
    real = {name: getattr(*place) for name, place in places.items()}
    for name, place in places.items():
        setattr(*place, wrap(name, real[name]))
    try:
        yield calls
    finally:
        for name, place in places.items():
            setattr(*place, real[name])


class _Reader(io.FileIO):
    """A file whose reads are watched, too."""

    def __init__(self, path: Any, step: Callable[[], None]):
        super().__init__(path)
        self._step = step

    def readinto(self, buffer: Any) -> int | None:
        self._step()
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._step()
        return super().readall()


def _is_binary_reading(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    mode = args[1] if len(args) > 1 else kwargs.get("mode", "r")
    return mode == "rb" and not isinstance(args[0], int)


def _place(name: str) -> tuple[Any, str]:
    if name == "flock":
        return fcntl, name
    return (io, "open") if name == "io.open" else (os, name)
