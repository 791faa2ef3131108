"""Decoded arrays on disk, by content key, so that a data set is decoded once (`runtime.cache_dir`).

A cache never changes a result and never fails one: what is missing, damaged or cannot be written is built again. An
entry is a folder `<cache_dir>/data/<key>/` of `.npy` files and a manifest of their hashes, put in place by one rename.
Several users may share a cache: all in it has the rights that the umask of who made it gives.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from munet.data import places, shared_entries
from munet.paths import expanded
from munet.store.folders import is_remote, local_path
from munet.store.local import TEMPORARY_PREFIX
from munet.store.replacing import new_folder, replacing

_MANIFEST = shared_entries.MANIFEST
# An unfinished entry that nothing was written into for so long belongs to a process that was killed. It is long, since
# not every file system notes when a mapped file is written.
_LEFTOVER_SECONDS = 86_400.0

NamedArrays = Mapping[str, np.ndarray]
Allocate = Callable[[str, tuple[int, ...]], np.ndarray]  # a uint8 array of zeros to be filled, by name and shape
logger = logging.getLogger(__name__)


def cache_folder(cache_dir: str) -> Path | None:
    """The folder on disk that a `cache_dir` setting means; of one in a bucket the copy; None for "off".

    Args:
      cache_dir: a path or URL; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": no cache.
    """
    given = places.given_cache(cache_dir)
    if not given:
        return None
    return places.copy_of(given) if is_remote(given) else expanded(local_path(given))


def remote_cache(cache_dir: str) -> str:
    """The URL of the bucket's folder that a `cache_dir` setting means; "" where the cache is on disk alone."""
    given = places.given_cache(cache_dir)
    return given.rstrip("/") if is_remote(given) else ""


def content_key(*parts: object) -> str:
    """A folder name for what `parts` determine: 40 hexadecimal digits of the SHA-256 of their JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def cached_arrays(cache_dir: str, key: str, build: Callable[[], NamedArrays]) -> NamedArrays:
    """The arrays of an entry, read from the cache or else built and put there.

    Args:
      cache_dir: as for `folder`.
      key: from `content_key`; must change whenever what `build` returns would.
      build: makes the arrays by name; called when there is no sound entry.
    """
    root = cache_folder(cache_dir)
    if root is None:
        return build()
    place, url = root / "data" / key, remote_cache(cache_dir)
    arrays = _read_here_or(url, place)
    if arrays is None:
        arrays = build()
        try:
            _write(place, arrays)
            _share(url, place)
        except OSError as error:  # full or read-only disk: slower next time, nothing worse
            logger.warning("decoded data could not be cached in %s: %s", place, error)
    return arrays


def cached_large_arrays(cache_dir: str, key: str, build: Callable[[Allocate], NamedArrays]) -> NamedArrays:
    """As `cached_arrays`, for arrays that need not fit the memory: they stay on disk, mapped and read-only.

    Args:
      cache_dir, key: as for `cached_arrays`.
      build: makes the arrays; a large one it asks for by name and fills, so that it grows on disk. Without a cache, or
        where the disk has no room, that is memory after all.
    """
    root = cache_folder(cache_dir)
    if root is None:
        return build(_in_memory)
    place, url = root / "data" / key, remote_cache(cache_dir)
    arrays = _read_here_or(url, place, is_mapped=True)
    if arrays is not None:
        return arrays
    try:
        temporary = _new_entry(place)
    except OSError as error:
        logger.warning("decoded data could not be cached in %s: %s", place, error)
        return build(_in_memory)
    try:
        arrays = build(functools.partial(_on_disk, temporary))
        try:
            _finish(temporary, place, arrays)
            _share(url, place)
        except OSError as error:
            logger.warning("decoded data could not be cached in %s: %s", place, error)
        for array in arrays.values():
            array.flags.writeable = False  # as those read later are: what is written would be in the cache
        return arrays  # a mapped file may be used after it has been moved, and even removed
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _in_memory(name: str, shape: tuple[int, ...]) -> np.ndarray:
    del name
    return np.zeros(shape, np.uint8)


def _on_disk(temporary: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A mapped `.npy` file, whose room is taken now: writing to a mapped file on a full disk would kill the process."""
    path = temporary / f"{name}.npy"
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return array
    except OSError as error:
        logger.warning("no room for decoded data in %s, kept in memory: %s", temporary.parent, error)
        path.unlink(missing_ok=True)
        return _in_memory(name, shape)


def _read_here_or(url: str, place: Path, *, is_mapped: bool = False) -> NamedArrays | None:
    """The arrays of an entry on disk, or else in the bucket at `url`, if there is one."""
    arrays = _read(place, is_mapped=is_mapped)
    if arrays is None and url:
        shared_entries.fetch(f"{url}/data/{place.name}", place)
        arrays = _read(place, is_mapped=is_mapped)
    return arrays


def _share(url: str, place: Path) -> None:
    """Puts an entry into the bucket at `url`, if there is one."""
    if url:
        shared_entries.share(f"{url}/data/{place.name}", place)


def _read(place: Path, *, is_mapped: bool = False) -> NamedArrays | None:
    """The arrays of an entry; None where there is none or it is damaged (it is removed then, to be built again)."""
    for _ in range(2):  # an entry that was not there a moment ago is another process's, and whole
        try:
            manifest = json.loads((place / _MANIFEST).read_text())
            return {name: _read_array(place / f"{name}.npy", digest, is_mapped) for name, digest in manifest.items()}
        except FileNotFoundError:
            if not place.exists():
                return None
        except PermissionError as error:  # not damaged, and not ours to remove
            logger.warning(
                "the cache entry %s is somebody else's and cannot be read (%s): it is made anew for this start. Its "
                "owner shares it with `chmod -R a+rX %s`; MUNET_CACHE_DIR gives you a cache of your own",
                place,
                error.strerror,
                place.parent,
            )
            return None
        except (OSError, ValueError, AttributeError, EOFError) as error:
            logger.warning("rebuilding the damaged cache entry %s: %s", place, error)
            break
    shutil.rmtree(place, ignore_errors=True)
    return None


def _read_array(path: Path, digest: str, is_mapped: bool) -> np.ndarray:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError(f"{path.name} is not what was written")
        if is_mapped:
            mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            return mapped
        file.seek(0)
        array: np.ndarray = np.load(file, allow_pickle=False)
        return array


def _write(place: Path, arrays: NamedArrays) -> None:
    temporary = _new_entry(place)
    try:
        _finish(temporary, place, arrays)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _new_entry(place: Path) -> Path:
    """A folder beside `place` to prepare its content in."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(place.parent)
    return new_folder(place.parent)


def replace_file(place: Path, data: bytes) -> None:
    """Writes a file of the cache in one step, with the rights that the umask gives; nothing is left where that fails.

    Raises:
      OSError: the disk is full or read-only, or the file is somebody else's.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(place.parent)
    with replacing(place) as temporary:
        temporary.write_bytes(data)


def _finish(temporary: Path, place: Path, arrays: NamedArrays) -> None:
    """Writes what is not there yet and the manifest, and puts the entry in place."""
    manifest = {}
    for name, array in arrays.items():
        path = temporary / f"{name}.npy"
        if isinstance(array, np.memmap) and array.flags.c_contiguous and path == Path(array.filename or ""):
            array.flush()
        else:
            path.unlink(missing_ok=True)  # it may be what `array` is a view of, which stays mapped
            np.save(path, array, allow_pickle=False)
        with path.open("rb") as file:
            manifest[name] = hashlib.file_digest(file, "sha256").hexdigest()
    for path in temporary.iterdir():
        if path.stem not in manifest:
            path.unlink()  # asked for, but not part of the result
    (temporary / _MANIFEST).write_text(json.dumps(manifest))
    if not place.exists():
        temporary.rename(place)  # fails harmlessly if another process was first


def remove_leftovers(parent: Path) -> None:
    """Removes what processes that were killed had begun to write there."""
    for path in parent.glob(f"{TEMPORARY_PREFIX}*"):
        try:
            is_old = time.time() - _last_written(path) > _LEFTOVER_SECONDS
        except OSError:  # its process just finished, or it is somebody else's
            continue
        if is_old and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif is_old:
            path.unlink(missing_ok=True)


def _last_written(path: Path) -> float:
    """When a file, a folder or any file in it was changed; a folder's own time stays while its files are filled.

    Raises:
      OSError: it is gone, or one of its files; or it cannot be read.
    """
    inside = path.iterdir() if path.is_dir() else ()
    return max(part.stat().st_mtime for part in (path, *inside))
