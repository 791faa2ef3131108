"""Who listens to a run: a display that suits the stream, and the log; `Listeners` hands every event to all of them."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self, TextIO

from munet.progress.events import Event
from munet.progress.hook import Hook
from munet.progress.jsonl import JsonLines
from munet.progress.lines import PlainLines


class Listener(Protocol):
    """Takes events; `close` gives the terminal or the file back, whatever happened."""

    def __call__(self, event: Event) -> None:
        """Takes one event of the run, in the order in which they happen."""

    def close(self) -> None:
        """Ends the display, or closes the file; no event follows."""


class Listeners:
    """Hands events on, in order; a context manager that closes every listener."""

    def __init__(self, listeners: Iterable[Listener]):
        self._listeners = tuple(listeners)

    def __call__(self, event: Event) -> None:
        """Hands the event to every listener. What one raises ends the run: a full disk must not pass unseen."""
        for listener in self._listeners:
            listener(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()


def listeners_for(
    stream: TextIO | None, *, with_log: bool = True, command: str = "", children: bool = True
) -> Listeners:
    """A live display if `stream` is a terminal, plain lines elsewhere, and the log unless it is unwanted.

    Args:
      stream: where the display goes; None: there is none.
      with_log: whether the log is written.
      command: `runtime.notify`; "": none.
      children: whether plain lines have one for every child; else they have one a generation, as suits a notebook.
    """
    displays: list[Listener] = []
    if stream is not None and stream.isatty():
        from munet.progress.terminal import LiveDisplay  # rich is slow to import and not needed in pipes

        displays = [LiveDisplay(stream)]
    elif stream is not None:
        displays = [PlainLines(stream, children=children)]
    # The log comes last: it may fail, on a full disk.
    return Listeners([*displays, *([Hook(command)] if command else []), *([JsonLines()] if with_log else [])])
