"""The append-only journal of a run: one JSON file per entry, chained by hashes (DESIGN decision 4).

`journal/00000000.json` is `{"format": 1, "kind": "start", "previous": "", "entry": {...}}`, where `previous` is the
SHA-256 of the file before. State is a fold over the entries.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any

from munet.errors import CorruptionError, WorkdirError
from munet.store.codec import dumps, from_json, loads, to_json
from munet.store.folders import open_folder
from munet.types import CompressionEntry, GenerationEntry, JournalEntry, PhaseEntry, SeedsEntry, StartEntry

FORMAT_VERSION = 1  # of the work directory as a whole, as a run begins it
LOW_RANK_VERSION = 2  # of entries with what versions of munet before low-rank components cannot read
RIGHT_IMAGES_VERSION = 3  # of entries that say which test images are right
NEWEST_VERSION = RIGHT_IMAGES_VERSION  # that this munet reads

_KINDS: dict[str, type[JournalEntry]] = {
    "start": StartEntry,
    "seeds": SeedsEntry,
    "generation": GenerationEntry,
    "phase": PhaseEntry,
    "compression": CompressionEntry,
}
_KEYS = {"format", "kind", "previous", "entry"}
_NAME = re.compile(r"(\d{8})\.json")
_ADVICE = "Restore the journal/ folder from a copy, or start again in a new work directory."


class Journal:
    """The entries of a run in the order they were appended. Any number of readers; one writer."""

    def __init__(self, path: str | os.PathLike[str]):
        self._folder = open_folder(path)
        self._length: int | None = None  # entries known to be there; entries never go away
        self._head: tuple[int, str] = (0, "")  # a length, and the hash of the last of that many entries

    @property
    def path(self) -> str:
        """The folder that holds the entries."""
        return self._folder.path

    def __len__(self) -> int:
        """Number of entries there now, including those that another process has just appended.

        Raises:
          CorruptionError: one in between is missing.
        """
        if self._length is None:
            self._length = self._listed_length()
        while self._folder.exists(_name(self._length)):
            self._length += 1
        return self._length

    @property
    def head_hash(self) -> str:
        """SHA-256 of the last entry's file, 64 hexadecimal digits; "" for an empty journal."""
        return self.hash_at(len(self))

    def hash_at(self, length: int) -> str:
        """What `head_hash` was when the journal had `length` entries.

        Raises:
          CorruptionError: there is no such entry.
        """
        if length == 0:
            return ""
        if self._head[0] != length:
            self._head = (length, _hash(self._read(length - 1)))
        return self._head[1]

    def append(self, entry: JournalEntry) -> None:
        """Adds an entry, atomically: after a kill at any instruction it is there, or the journal is as before.

        Raises:
          WorkdirError: another process has appended in the meantime.
          DiskFullError: nothing is left behind.
        """
        length = len(self)
        kind = next(kind for kind, cls in _KINDS.items() if cls is type(entry))
        content = {"format": _version(entry), "kind": kind, "previous": self.hash_at(length), "entry": to_json(entry)}
        data = dumps(content) + b"\n"
        try:
            self._folder.create(_name(length), data)
        except FileExistsError:
            raise WorkdirError(
                f"{self._folder.location(_name(length))} was written by another process just now: "
                "two runs share this work directory. Stop one of them; the other's command may be given again."
            ) from None
        self._length, self._head = length + 1, (length + 1, _hash(data))

    def entries(self, start: int = 0) -> Iterator[JournalEntry]:
        """The entries from index `start` on that are there now; each is checked against the one before.

        Raises:
          CorruptionError: an entry is missing, altered or in the wrong place.
          WorkdirError: an entry was written by a newer munet.
        """
        length = len(self)
        previous = self.hash_at(min(start, length))
        for index in range(start, length):
            data = self._read(index)
            yield self._decode(index, data, previous)
            previous = _hash(data)
        if start < length:
            self._head = (length, previous)

    def check_format(self) -> None:
        """Refuses a journal of a newer format by its first entry, without reading the rest.

        Raises:
          CorruptionError: the first entry is missing or altered.
          WorkdirError: it was written by a newer munet.
        """
        if len(self):
            self._decode(0, self._read(0), "")

    def _decode(self, index: int, data: bytes, previous: str) -> JournalEntry:
        where = self._folder.location(_name(index))
        content: Any = loads(data, where)
        if not isinstance(content, dict):
            raise CorruptionError(f"{where} is no journal entry.", _ADVICE)
        version, entry = content.get("format"), content.get("entry")
        if content.get("kind") == "start" and isinstance(entry, dict) and isinstance(version, int):
            declared = entry.get("format_version")
            version = max(version, declared) if isinstance(declared, int) else version
        if isinstance(version, int) and version > NEWEST_VERSION:
            raise WorkdirError(
                f"{where} has format version {version}, this munet reads up to {NEWEST_VERSION}:",
                "install a newer munet, or give another work directory.",
            )
        if (
            content.keys() != _KEYS
            or (type(version) is not int or version < 1)
            or content["kind"] not in list(_KINDS)
            or (index == 0) != (content["kind"] == "start")
        ):
            raise CorruptionError(f"{where} is no journal entry, or one in the wrong place.", _ADVICE)
        if content["previous"] != previous:
            raise CorruptionError(
                f"{where} does not follow the entry before it: it expects one with SHA-256 "
                f"{str(content['previous'])[:16]}..., found {previous[:16] or 'none'}...; "
                "one of the two was altered or moved.",
                _ADVICE,
            )
        return from_json(_KINDS[content["kind"]], entry, where)

    def _read(self, index: int) -> bytes:
        try:
            return self._folder.read(_name(index))
        except FileNotFoundError:
            raise CorruptionError(f"{self._folder.location(_name(index))} is missing.", _ADVICE) from None

    def _listed_length(self) -> int:
        matches = (_NAME.fullmatch(name) for name in self._folder.names())
        indices = {int(match[1]) for match in matches if match}
        length = max(indices, default=-1) + 1
        for index in sorted(set(range(length)) - indices):
            # A listing made while a run writes may miss a file that is older than one it shows: look again.
            if not self._folder.exists(_name(index)):
                raise CorruptionError(
                    f"{self._folder.location(_name(index))} is missing, though {_name(length - 1)} is there.",
                    _ADVICE,
                )
        return length


def _version(entry: JournalEntry) -> int:
    """The oldest format that has all of an entry: a munet that knows only older ones says so, and guesses nothing."""
    if isinstance(entry, PhaseEntry):
        return RIGHT_IMAGES_VERSION if entry.test_right else FORMAT_VERSION
    if isinstance(entry, SeedsEntry):
        return FORMAT_VERSION
    if isinstance(entry, CompressionEntry) and any(model.measured.test_right for model in entry.models):
        return RIGHT_IMAGES_VERSION
    has_bases = any(record.base is not None for record in entry.published.values())
    return LOW_RANK_VERSION if has_bases or isinstance(entry, CompressionEntry) else FORMAT_VERSION


def _name(index: int) -> str:
    return f"{index:08d}.json"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
