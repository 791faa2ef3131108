"""Files that come to their place whole, with the rights that the umask gives; `tempfile` makes its for one user alone.

For caches and copies, which several users may share and which may be made again: nothing is forced to the disk. What
a run must not lose is written by `local.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from munet.store.local import TEMPORARY_PREFIX


@contextmanager
def replacing(place: Path) -> Iterator[Path]:
    """A path to write a file at, which becomes `place` if the block ends well; otherwise nothing is left of it.

    Any number of processes may do this for one place at once: the last one's file stays.

    Raises:
      OSError: the disk is full or read-only, or the file at `place` is somebody else's.
    """
    temporary = place.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        yield temporary
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)  # what there is of it takes room


def new_folder(parent: Path, prefix: str = TEMPORARY_PREFIX) -> Path:
    """A new folder of a random name."""
    path = parent / f"{prefix}{secrets.token_hex(8)}"
    path.mkdir()
    return path
