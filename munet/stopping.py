"""Signals that end a process: held back while what is in training is saved; a second one ends it at once.

SIGTERM is what a machine that is taken away sends, SIGUSR1 the notice that schedulers send some time before
(`sbatch --signal=USR1@60`), SIGINT is Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)  # Windows has no SIGUSR1
INTERRUPTED, TERMINATED = 130, 143
# Whoever signals a process and its group, or a wrapper that passes Ctrl-C on, means one end and not two.
_SAME = 0.5
_MOMENT = 0.02  # after which the main thread has left where exceptions are swallowed; well below _SAME
_HELD_LONG = "munet: a second signal: ended at once. What was committed is kept, and the same command goes on.\n"


class Signals:
    """What came while signals were held back; without `held`, signals do what they always do."""

    def __init__(self) -> None:
        self._number = 0
        self._before: dict[int, Any] = {}

    @property
    def is_requested(self) -> bool:
        """Whether the process shall end: save what is in training, then `check`."""
        return bool(self._number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """In this block a signal only sets `is_requested`; at its end, at the latest, it takes effect.

        Only a main thread may set handlers: in another one nothing is held back. A signal that is ignored stays so, and
        one that would kill the process (SIGUSR1 outside of the command line) does so, later.
        """
        if threading.current_thread() is not threading.main_thread() or self._before:
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._before = {number: one for number, one in before.items() if one not in (None, signal.SIG_IGN)}
        self._number = 0
        for number in self._before:
            signal.signal(number, self._note)
        try:
            yield
            self.check()
        finally:
            self._restore()
            self._before = {}

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Inside of `held`: here nothing would be lost, so signals take effect at once, those held back too."""
        self.check()
        self._restore()
        try:
            yield
        finally:
            for number in self._before:
                signal.signal(number, self._note)

    def check(self) -> None:
        """Lets a signal that was held back take effect: mostly it raises KeyboardInterrupt, or ends the process."""
        if not self._number:
            return
        number, self._number = self._number, 0
        before: Callable[[int, FrameType | None], Any] | int = self._before[number]
        if callable(before):
            before(number, None)
        else:  # the system's own way
            signal.signal(number, before)
            signal.raise_signal(number)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._number = number

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


@contextmanager
def swallowed_are_sent_again(signals: Mapping[type[BaseException], int]) -> Iterator[None]:
    """In this block no interrupt is lost because of where it comes.

    Python swallows what is raised in a destructor or in a callback of the garbage collector, of which JAX has one, and
    only says so.

    Args:
      signals: of each exception that a signal raises, that signal: it is sent again a moment later.
    """
    before = sys.unraisablehook

    def hook(swallowed: sys.UnraisableHookArgs) -> None:
        number = next((signals[kind] for kind in swallowed.exc_type.__mro__ if kind in signals), None)
        if number is None:
            before(swallowed)
        else:
            threading.Timer(_MOMENT, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def second_ends_at_once() -> Iterator[None]:
    """In this block a second signal ends the process, whatever it waits for: a handler of Python's must wait for XLA.

    Nothing that is committed can be lost by that. Only for a main thread; elsewhere it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_end_at_second, args=(reading,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


def _end_at_second(reading: int) -> None:
    """Reads the numbers of signals until nobody writes them any more."""
    first: float | None = None
    with os.fdopen(reading, "rb", buffering=0) as numbers:
        while data := numbers.read(1):
            if data[0] not in SIGNALS:
                continue
            now = time.monotonic()
            if first is None:
                first = now
            elif now - first >= _SAME:
                os.write(2, _HELD_LONG.encode())
                os._exit(INTERRUPTED if data[0] == signal.SIGINT else TERMINATED)
