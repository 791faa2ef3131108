"""Where downloaded roots are kept, and what is remembered of each, so that a changed file is noticed.

A file lies under `<cache_dir>/roots/` as its URL says: `roots/storage.googleapis.com/vit_models/augreg/NAME.npz`. One
that a person puts there is taken as it is. Beside it stands `FILE.json` with its SHA-256, compared at each use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from munet.data import cache
from munet.errors import CheckpointError, UserError
from munet.store.replacing import replacing

_BY_HAND = "put there by hand"
_OBJECTS = "storage.googleapis.com"  # where objects of gs:// are reached by https too


@dataclass(frozen=True)
class Remembered:
    """What is known of a cached file.

    Attributes:
      path: of the file.
      size: bytes.
      sha256: when it was put there; "": it was not used yet.
      source: its URL.
      since: when it was remembered, e.g. `2026-11-22 10:30`.
    """

    path: Path
    size: int
    sha256: str
    source: str
    since: str


def roots_folder(cache_dir: str) -> Path:
    """The folder of downloaded roots.

    Raises:
      UserError: there is no cache.
    """
    root = cache.cache_folder(cache_dir)
    if root is None:
        raise UserError(
            'A root is downloaded into the cache, and runtime.cache_dir is "off": give it a folder, or download the '
            "file yourself and give its path."
        )
    return root / "roots"


def place(url: str, cache_dir: str) -> Path:
    """Where the file of a URL is, or is to be, in the cache: always below its folder, and another for every URL."""
    parts = urlsplit(url)
    host, asked = parts.netloc.rpartition("@")[2], parts.path
    if parts.scheme == "gs":
        host, asked = _OBJECTS, f"/{host}{asked}"
    segments = [segment for segment in asked.split("/") if segment not in ("", ".", "..")]
    names = [_file_name(segment) for segment in (host.replace(":", "-"), *segments)]
    # Part of what is asked for, but not fit for a name; and what names do not show, so that no two URLs share a place.
    rest = [parts.query] if parts.query else []
    if names != [host, *segments]:
        rest += [host, *segments]
    if rest:
        names.insert(-1, hashlib.sha256("/".join(rest).encode()).hexdigest()[:12])
    return roots_folder(cache_dir).joinpath(*names)


def _file_name(segment: str) -> str:
    """A part of a URL as the name of a file or folder: readable, and never `..`; the end of a long one."""
    name = re.sub(r"[^\w.+=-]", "_", unquote(segment))[-200:]
    return name.replace(".", "_") if set(name) <= {"."} else name


def remember(path: Path, source: str) -> str:
    """Writes down a file's SHA-256, and returns it."""
    digest = file_sha256(path)
    note = {"sha256": digest, "size": path.stat().st_size, "source": source, "since": time.strftime("%Y-%m-%d %H:%M")}
    # In a cache that may only be read, nothing is remembered.
    with contextlib.suppress(OSError), replacing(_note(path)) as temporary:
        temporary.write_text(json.dumps(note, indent=1))
    return digest


def check(path: Path) -> str:
    """The SHA-256 of a cached file, every byte read and compared with what is remembered.

    Raises:
      CheckpointError: it is not the file that was put there.
    """
    found = recall(path)
    if not found.sha256:
        return remember(path, found.source)
    digest = file_sha256(path)
    if digest != found.sha256:
        raise CheckpointError(
            f"{path} is not the file that was put there: SHA-256 {digest[:12]}, remembered {found.sha256[:12]}. Remove "
            f"it and {_note(path).name}: the same command downloads it again."
        )
    return digest


def recall(path: Path) -> Remembered:
    """What is remembered of a file; nothing is hashed."""
    try:
        note = json.loads(_note(path).read_text())
        sha256, source, since = (str(note[name]) for name in ("sha256", "source", "since"))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        sha256, source, since = "", _BY_HAND, ""
    return Remembered(path, path.stat().st_size, sha256, source, since)


def cached(cache_dir: str) -> Iterator[Remembered]:
    """All files in the cache, in order of their paths."""
    root = cache.cache_folder(cache_dir)
    if root is None:
        return
    for path in sorted((root / "roots").rglob("*")):
        if path.is_file() and path.suffix in (".npz", ".safetensors"):
            yield recall(path)


def file_sha256(path: Path) -> str:
    """The hash of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
