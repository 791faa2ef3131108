"""Who writes to a work directory: the words of both locks, that of the operating system and that of object stores."""

from __future__ import annotations

import functools
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BEAT_SECONDS = 5.0  # between two signs of life
EXPIRY_SECONDS = 30.0  # without any, as the one who waits sees it: whoever held the lock is taken to be dead


class Keeper(Protocol):
    """What keeps every other writer out, as far as it can."""

    def check(self) -> None:
        """Refuses to go on where we are no longer the one who writes.

        Raises:
          WorkdirError: another has taken over, or the directory is no longer where it was.
        """


@dataclass(frozen=True)
class Owner:
    """A writer.

    Attributes:
      pid, host: its process, for people.
      boot: of the running kernel. On one kernel a file lock decides who is alive.
      token: drawn anew for every start.
    """

    pid: int
    host: str
    boot: str
    token: str

    @classmethod
    def here(cls) -> Owner:
        """This process, beginning to write."""
        return cls(os.getpid(), socket.gethostname(), boot(), secrets.token_hex(8))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it runs, or ran, under the very kernel that we run under."""
        return self.boot == boot()

    @property
    def is_known_dead(self) -> bool:
        """Whether it ran here, in this very container, and no process has its number now."""
        if not self.is_on_this_machine or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


@functools.cache
def boot() -> str:
    """Identity of the running kernel; the machine's name where there is none to be had."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def shows_life(
    look: Callable[[], object],
    seconds: float = EXPIRY_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether what `look` gives changes within some seconds by our own clock: the clocks of two machines may differ."""
    first, step = look(), min(1.0, seconds / 10)
    for _ in range(round(seconds / step)):
        sleep(step)
        if look() != first:
            return True
    return False


@contextmanager
def beating(beat: Callable[[], None], seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Gives a sign of life from another thread while the block runs; one that fails is tried again."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(seconds):
            try:
                beat()
            except Exception:  # whatever a network or a disk raises: `Keeper.check` finds what matters
                continue

    thread = threading.Thread(target=go_on, name="munet-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
