"""Entries of the cache of decoded data in a bucket: the same files as on disk, the manifest last.

A bucket that cannot be reached makes a run slower, never wrong: what is wrong is told once, and done without.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from pathlib import Path

from munet.errors import UserError
from munet.store.folders import open_folder
from munet.store.replacing import new_folder

MANIFEST = "manifest.json"
_MAX_BYTES = 2 << 30  # of one file, which passes through the memory
logger = logging.getLogger(__name__)


def fetch(url: str, place: Path) -> None:
    """Puts a bucket's entry at `place`, if it has one; what it holds is checked by who reads it.

    Args:
      url: of the entry.
      place: where entries of the local cache lie; nothing is there yet.
    """
    try:
        folder = open_folder(url)
        manifest = folder.read(MANIFEST)
        names = json.loads(manifest)
    except FileNotFoundError:
        return
    except (OSError, RuntimeError, ValueError, UserError) as error:
        _tell(url, "read", error)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = new_folder(place.parent)
    try:
        for name in names:
            with folder.open(f"{name}.npy") as source, (temporary / f"{name}.npy").open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 24)
        (temporary / MANIFEST).write_bytes(manifest)
        if not place.exists():
            temporary.rename(place)
    except (OSError, RuntimeError, ValueError, UserError) as error:
        _tell(url, "read", error)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def share(url: str, place: Path) -> None:
    """Puts a local entry into the bucket, unless it has it."""
    try:
        folder = open_folder(url)
        if folder.exists(MANIFEST):
            return
        files = sorted(place.iterdir(), key=lambda path: path.name == MANIFEST)  # the manifest last
        if any(path.stat().st_size > _MAX_BYTES for path in files):
            return  # it is decoded on each machine
        for path in files:
            with contextlib.suppress(FileExistsError):  # another machine was there first
                folder.create(path.name, path.read_bytes())
    except (OSError, RuntimeError, ValueError, UserError) as error:
        _tell(url, "written", error)


def _tell(url: str, what: str, error: Exception) -> None:
    logger.warning("the cache at %s cannot be %s, and is done without: %s", url, what, error)
