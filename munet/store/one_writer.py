"""Keeps every writer but one out of a work directory, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path

from munet.store import lease, lock
from munet.store.folders import is_remote, open_folder
from munet.store.keeper import Keeper

_LEASE = "lease"


def only_writer(path: str, places: Collection[str], is_empty: Callable[[], bool]) -> AbstractContextManager[Keeper]:
    """While the block runs no other process writes there, as far as the place allows to say so.

    On disk that is the operating system's lock, which ends with the process however that ends; in an object store a
    lease.

    Args:
      path: of the directory, as a path on disk or a URL.
      places: it and its folders, which on disk are made, and removed again where nothing was stored.
      is_empty: whether nothing was stored, asked at the end, of an object store.

    Raises:
      WorkdirError: a living process holds it; the message names the process.
    """
    if is_remote(path):
        return lease.held(open_folder(f"{path.rstrip('/')}/{_LEASE}"), is_empty)
    return lock.locked(Path(path), places)
