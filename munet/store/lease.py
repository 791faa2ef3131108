"""The lease of a work directory in an object store, which has no locks: made of conditional PUTs alone.

`lease/00000007.json` is the seventh lease; the highest number holds. One is acquired by making the next number, which
the store lets only one of several do; renewed by writing it anew; given back by a word in it. Whoever wants it while it
is held looks for signs of life for half a minute by its own clock, and takes over if there are none. The one before
then finds a higher number before it commits or removes anything, and stops.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from munet.errors import CorruptionError, WorkdirError
from munet.store import keeper
from munet.store.codec import dumps, from_json, loads
from munet.store.folders import Folder
from munet.store.keeper import Owner

_NAME = re.compile(r"(\d{8})\.json")
_LOGGER = logging.getLogger(__name__)


class Lease:
    """A lease that this process holds, or tries to.

    Args:
      folder: of the leases.
      seconds: without a sign of life after which a holder is taken to be dead.
      sleep: waits some seconds.
    """

    def __init__(
        self,
        folder: Folder,
        seconds: float = keeper.EXPIRY_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._folder = folder
        self._seconds, self._sleep = seconds, sleep
        self._owner = Owner.here()
        self._number = self._beats = 0

    def acquire(self) -> None:
        """Becomes the holder.

        Raises:
          WorkdirError: a living process is; the message names it.
        """
        while True:
            newest = self._newest()
            if newest and (holder := self._holder(newest)) is not None:
                self._wait(newest, holder)
            try:
                self._folder.create(_name(newest + 1), self._content())
            except FileExistsError:
                continue  # another was faster: see who
            if self._newest() == newest + 1:
                break
            self._folder.delete([_name(newest + 1)])  # what we saw was old: the number was used, and removed, before
        self._number = newest + 1
        self._folder.delete([_name(number) for number in self._numbers() if number < self._number])

    def check(self) -> None:
        """See `keeper.Keeper`."""
        if (newest := self._newest()) != self._number:
            by = self._holder(newest) if newest else None
            what = f"{by} has taken over" if by else "it was given to another or removed"
            raise WorkdirError(
                f"{self._folder.path}: this process no longer holds the lease: {what}. It stops. What was committed is "
                "kept; nothing more was written."
            )

    def renew(self) -> None:
        """Gives a sign of life, as long as we hold the lease."""
        if self._newest() == self._number:
            self._beats += 1
            self._folder.replace(_name(self._number), self._content())

    def release(self, remove: bool = False) -> None:
        """Gives the lease back, if we hold it.

        Args:
          remove: leaves nothing behind, for nothing was stored.
        """
        if self._newest() != self._number:
            return
        if remove:
            self._folder.delete([_name(self._number)])
        else:
            self._folder.replace(_name(self._number), dumps({"released": True}))

    def _wait(self, number: int, holder: Owner) -> None:
        """Returns when the holder of a lease is dead.

        Raises:
          WorkdirError: it is alive.
        """
        if holder.is_known_dead:
            return
        _LOGGER.warning("%s is held by %s: waiting for a sign of life ...", self._folder.path, holder)
        if keeper.shows_life(lambda: self._read(number), self._seconds, self._sleep):
            raise WorkdirError(
                f"The work directory {self._folder.path.removesuffix('/lease')} is in use by {holder}: wait for it, "
                "stop it, or give another directory."
            )

    def _newest(self) -> int:
        return max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        return [int(match[1]) for name in self._folder.names() if (match := _NAME.fullmatch(name))]

    def _read(self, number: int) -> bytes:
        try:
            return self._folder.read(_name(number))
        except FileNotFoundError:
            return b""

    def _holder(self, number: int) -> Owner | None:
        """Who holds a lease; None: it was given back, or is damaged."""
        try:
            content: Any = loads(self._read(number), "lease")
            return from_json(Owner, content["owner"]) if "owner" in content else None
        except (CorruptionError, TypeError):
            return None

    def _content(self) -> bytes:
        return dumps({"owner": asdict(self._owner), "beats": self._beats})


@contextmanager
def held(folder: Folder, is_empty: Callable[[], bool]) -> Iterator[Lease]:
    """Holds the lease while the block runs, renewing it.

    Args:
      folder: of the leases.
      is_empty: whether nothing is stored; asked at the end, when the lease is then removed, too.

    Raises:
      WorkdirError: a living process holds it; the message names it.
    """
    lease = Lease(folder)
    lease.acquire()
    try:
        with keeper.beating(lease.renew):
            yield lease
    finally:
        with suppress(Exception):  # whatever a network raises: the lease expires by itself
            lease.release(remove=is_empty())


def _name(number: int) -> str:
    return f"{number:08d}.json"
