"""All objects below a place in a bucket, and a copy of them on disk that is brought up to date (data, not runs).

What is read many times or by path, images and decoded arrays, is read from the copy. An object that has not changed is
not fetched again; one that is fetched has a temporary name until it is whole.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from munet.errors import DiskFullError, UserError
from munet.store.remote import file_system
from munet.store.replacing import replacing
from munet.threads import in_threads

_INDEX = "index.json"
_FILES = "files"
_THREADS = 16  # an object store answers slowly, and many at once
# What changes with an object, by the names that stores give it; the first that is told.
_VERSIONS = ("etag", "ETag", "md5Hash", "generation", "mtime", "LastModified", "created")


@dataclass(frozen=True)
class Entry:
    """An object: its bytes, and what changes when it does ("": the store does not say)."""

    size: int
    version: str


def objects(url: str) -> dict[str, Entry]:
    """All objects below a place, by their path from there; one at the place itself has the path "".

    Raises:
      UserError: nothing installed can read it, or the store refuses.
    """
    store, root = file_system(url.rstrip("/"))
    store.invalidate_cache()
    try:
        found = store.find(root, detail=True)
    except FileNotFoundError:
        return {}
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{url} cannot be listed: {error}. Is it there, and may this machine read it?") from error
    prefix = f"{root}/"
    return {
        name.removeprefix(prefix) if name.startswith(prefix) else "": Entry(int(info.get("size") or 0), _version(info))
        for name, info in found.items()
        if info.get("type", "file") == "file"
    }


def _version(info: Mapping[str, object]) -> str:
    return next((str(info[name]) for name in _VERSIONS if info.get(name)), "")


def names_beside(url: str) -> list[str]:
    """The names of what lies beside a place, for messages; empty where nobody tells."""
    above = url.rstrip("/").rpartition("/")[0]
    if above.endswith("/"):  # a bucket itself
        return []
    try:
        store, root = file_system(above)
        return [entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in store.ls(root, detail=True)]
    except (OSError, RuntimeError, ValueError, UserError):
        return []


def copy(url: str, place: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Brings the copy of a place up to date.

    Args:
      url: of a folder, or of one object.
      place: a folder for the copy and what is known of it, whose other content is nobody's.
      say: told what is fetched.

    Returns:
      The copy: a folder, or a file of the object's name. It does not exist where the place holds nothing.

    Raises:
      UserError: it cannot be read, or names in it are no relative paths.
      DiskFullError: the disk has no room for it.
    """
    found = objects(url)
    target = place / _FILES / url.rstrip("/").rsplit("/", 1)[-1]
    known = _known(place)
    wanted = {name: entry for name, entry in found.items() if not _is_here(target / name, entry, known.get(name))}
    for name in found:
        if name and (PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name):
            raise UserError(f"{url}: the object {name!r} has a name that is no path below it. Rename it.")
    for name in set(known) - set(found):
        with contextlib.suppress(OSError):
            (target / name).unlink()
    if wanted:
        size = sum(entry.size for entry in wanted.values())
        _check_room(place, size, url)
        say(f"{url}: fetching {len(wanted):,} of {len(found):,} objects, {size / 1e6:,.0f} MB, to {place}")
        _fetch(url, target, wanted)
    if found != known:
        _note(place, found)
    return target


def _fetch(url: str, target: Path, names: Iterable[str]) -> None:
    store, root = file_system(url.rstrip("/"))

    def one(name: str) -> None:
        path = target / name if name else target
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(path) as temporary:
                store.get_file(f"{root}/{name}" if name else root, str(temporary))
        except FileNotFoundError as error:
            raise UserError(f"{url}: {name or 'it'} was removed while it was read. Start again.") from error
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{url}: {name or 'it'} cannot be read: {error}") from error

    for _ in in_threads(one, names, _THREADS):
        pass


def _is_here(path: Path, entry: Entry, known: Entry | None) -> bool:
    try:
        return known == entry and bool(entry.version) and path.stat().st_size == entry.size
    except OSError:
        return False


def _check_room(place: Path, size: int, url: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if size > free:
        raise DiskFullError(
            f"{url}: {size / 1e9:,.1f} GB to fetch, but {place} has room for {free / 1e9:,.1f} GB. MUNET_LOCAL_DIR "
            "names another disk."
        )


def _known(place: Path) -> dict[str, Entry]:
    try:
        read = json.loads((place / _INDEX).read_text())
        return {str(name): Entry(int(size), str(version)) for name, (size, version) in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # all is fetched again


def _note(place: Path, found: Mapping[str, Entry]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    with replacing(place / _INDEX) as temporary:
        temporary.write_text(json.dumps({name: [entry.size, entry.version] for name, entry in found.items()}))
