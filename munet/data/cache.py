"""Decoded arrays on disk, by content key, so that a data set is decoded once (DESIGN decision 9: `runtime.cache_dir`).

A cache never changes a result and never fails one: what is missing, damaged or cannot be written is built again. An
entry is a folder `<cache_dir>/data/<key>/` of `.npy` files and a manifest of their hashes, put in place by one rename.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

_MANIFEST = "manifest.json"
_LEFTOVER_SECONDS = 3600.0  # an unfinished entry older than this belongs to a process that was killed

Arrays = Mapping[str, np.ndarray]
logger = logging.getLogger(__name__)


def folder(cache_dir: str) -> Path | None:
    """The folder that a `cache_dir` setting means; None for "off".

    Args:
      cache_dir: a path; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": no cache.
    """
    if cache_dir == "off":
        return None
    return Path(cache_dir or os.environ.get("MUNET_CACHE_DIR") or "~/.cache/munet").expanduser()


def content_key(*parts: object) -> str:
    """A folder name for what `parts` determine: 40 hexadecimal digits of the SHA-256 of their JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def cached_arrays(cache_dir: str, key: str, build: Callable[[], Arrays]) -> Arrays:
    """The arrays of an entry, read from the cache or else built and put there.

    Args:
      cache_dir: as for `folder`.
      key: from `content_key`; must change whenever what `build` returns would.
      build: makes the arrays by name; called when there is no sound entry.
    """
    root = folder(cache_dir)
    if root is None:
        return build()
    place = root / "data" / key
    arrays = _read(place)
    if arrays is None:
        arrays = build()
        try:
            _write(place, arrays)
        except OSError as error:  # full or read-only disk: slower next time, nothing worse
            logger.warning("decoded data could not be cached in %s: %s", place, error)
    return arrays


def _read(place: Path) -> Arrays | None:
    """The arrays of an entry; None where there is none or it is damaged (it is removed then, to be built again)."""
    try:
        manifest = json.loads((place / _MANIFEST).read_text())
        return {name: _read_array(place / f"{name}.npy", digest) for name, digest in manifest.items()}
    except FileNotFoundError:
        is_there = place.exists()
    except (OSError, ValueError, AttributeError, EOFError) as error:
        logger.warning("rebuilding the damaged cache entry %s: %s", place, error)
        is_there = True
    if is_there:
        shutil.rmtree(place, ignore_errors=True)
    return None


def _read_array(path: Path, digest: str) -> np.ndarray:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError(f"{path.name} is not what was written")
        file.seek(0)
        array: np.ndarray = np.load(file, allow_pickle=False)
        return array


def _write(place: Path, arrays: Arrays) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(place.parent)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=place.parent))
    try:
        manifest = {}
        for name, array in arrays.items():
            path = temporary / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            with path.open("rb") as file:
                manifest[name] = hashlib.file_digest(file, "sha256").hexdigest()
        (temporary / _MANIFEST).write_text(json.dumps(manifest))
        if not place.exists():
            temporary.rename(place)  # fails harmlessly if another process was first
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    for path in parent.glob(".tmp-*"):
        try:
            is_old = time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS
        except FileNotFoundError:  # its process just finished
            continue
        if is_old:
            shutil.rmtree(path, ignore_errors=True)
