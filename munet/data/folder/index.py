"""What the files of a folder hold, without decoding them: the hash of each, and its header.

Kept in the cache by path, size and times of change, so that a second start reads no file; a file that was touched but
not changed has the same hash, and everything that is cached by content is found again. The index is one line of JSON,
and one with its SHA-256: one that is not what was written is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from munet.data import cache
from munet.data.open_settings import OpenSettings
from munet.data.photos import BadImageError, quietly, read_bytes, read_header
from munet.threads import in_threads

FORMAT = 3  # of the index in the cache; count up when what it holds changes meaning

_RECENT_NS = 2_000_000_000  # a file changed within this time may change again without its time changing
_SECONDS_BETWEEN_LINES = 10.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file: the SHA-256 of its bytes, its upright size in pixels, or why it is no usable image."""

    digest: str = ""  # "" if it cannot even be read
    width: int = 0
    height: int = 0
    is_grey: bool = False
    problem: str = ""


def index_files(root: Path, paths: Sequence[str], settings: OpenSettings, name: str) -> list[FileFacts]:
    """The facts of some files, in order.

    Args:
      root: the folder that the paths are relative to.
      paths: of the files.
      settings: the cache, and who is told about the progress.
      name: of the task, for the progress.
    """
    place = _place(root, settings)
    known = _load(place)
    stamps = [_stamp(root / path) for path in paths]
    facts: dict[int, FileFacts] = {}
    for number, (path, stamp) in enumerate(zip(paths, stamps, strict=True)):
        before = known.get(path)
        if stamp is not None and before is not None and before[0] == stamp:
            facts[number] = before[1]
    unknown = [number for number in range(len(paths)) if number not in facts]
    if unknown:
        progress = Progress(settings.say, f"{name}: read", len(unknown))
        with quietly():
            for number, fact in zip(
                unknown, in_threads(lambda number: _examine(root / paths[number]), unknown), strict=True
            ):
                facts[number] = fact
                progress.step()
        _save(place, {path: (stamps[number], facts[number]) for number, path in enumerate(paths)})
    return [facts[number] for number in range(len(paths))]


class Progress:
    """Says how far a long piece of work is, every few seconds; nothing if it is done before."""

    def __init__(self, say: Callable[[str], None], what: str, total: int, unit: str = "images"):
        self._say, self._what, self._total, self._unit = say, what, total, unit
        self._done, self._said = 0, time.monotonic() - _SECONDS_BETWEEN_LINES * 0.7  # the first line comes sooner

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self._say(f"{self._what} {self._done:,} of {self._total:,} {self._unit}")


def _examine(path: Path) -> FileFacts:
    try:
        data = read_bytes(path)
    except BadImageError as error:
        return FileFacts(problem=str(error))
    digest = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data)
    except BadImageError as error:
        return FileFacts(digest, problem=str(error))
    return FileFacts(digest, header.width, header.height, header.is_grey)


# Size in bytes; times of change of the content and of the file itself, in nanoseconds. Unpacked and copied files often
# have one time and one size, so only the last tells that two of them have changed places.
Stamp = tuple[int, int, int]


def _stamp(path: Path) -> Stamp | None:
    """None: it cannot be known whether the file will be the same next time."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    now = time.time_ns()
    is_ahead = status.st_mtime_ns > now + _RECENT_NS  # it was set: by a camera without a clock, from an archive
    if (status.st_ctime_ns if is_ahead else status.st_mtime_ns) >= now - _RECENT_NS:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _place(root: Path, settings: OpenSettings) -> Path | None:
    folder = cache.cache_folder(settings.cache_dir)
    return (
        folder and folder / "folders" / f"{cache.content_key('folder', FORMAT, os.fsencode(root.resolve()).hex())}.json"
    )


def _load(place: Path | None) -> dict[str, tuple[Stamp, FileFacts]]:
    """The index as it was saved; empty where there is none or it is damaged."""
    if place is None:
        return {}
    try:
        body, _, digest = place.read_bytes().partition(b"\n")
        if digest != _digest(body):
            raise ValueError("it is not what was written")
        saved = json.loads(body)
        return {
            path: ((int(size), int(content), int(itself)), FileFacts(**facts))
            for path, (size, content, itself, facts) in saved.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("the index %s is damaged and made anew: %s", place, error)
        return {}


def _save(place: Path | None, entries: dict[str, tuple[Stamp | None, FileFacts]]) -> None:
    if place is None:
        return
    stamped = {path: (*stamp, asdict(facts)) for path, (stamp, facts) in entries.items() if stamp and facts.digest}
    body = json.dumps(stamped).encode()
    try:
        cache.replace_file(place, body + b"\n" + _digest(body))
    except OSError as error:  # full or read-only disk: slower next time, nothing worse
        logger.warning("the index of a folder could not be kept in %s: %s", place, error)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
