"""The append-only journal of a run: one JSON file per entry, chained by hashes.

`journal/00000000.json` is `{"sha256":"...","format":3,"kind":"start","previous":"","entry":{...}}` and a line feed.
`previous` is the SHA-256 of the file before; `sha256` that of the entry's own bytes, those behind `{"sha256":"...",`:
so the newest entry too, for which no later one vouches, is known to be what was written. Formats 1 and 2 had no hash
of their own; every later one keeps it where it is. State is a fold over the entries.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from munet.errors import CorruptionError, WorkdirError
from munet.store.codec import dumps, from_json, loads, to_json
from munet.store.folders import open_folder
from munet.types import (
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    JournalEntry,
    PhaseEntry,
    SeedsEntry,
    StartEntry,
)

# Of what is written now: an entry has a hash of its own, and may say which test images are right. 1 has neither, 2 as 1
# with low-rank components.
FORMAT_VERSION = 3
NEWEST_VERSION = 4  # that this munet reads: what changes a run's tasks, which an older one would misread
_OWN_HASH_VERSION = 3

_KINDS: dict[str, type[JournalEntry]] = {
    "start": StartEntry,
    "seeds": SeedsEntry,
    "generation": GenerationEntry,
    "phase": PhaseEntry,
    "compression": CompressionEntry,
    "extend": ExtendEntry,
    "forget": ForgetEntry,
}
_NEWER = {"extend": 4, "forget": 4}  # the format of kinds that came later: a run without them stays readable
_KEYS = {"format", "kind", "previous", "entry"}
_NAME = re.compile(r"(\d{8})\.json")
_HASH_PREFIX, _HASH_SUFFIX, _HASH_DIGITS = b'{"sha256":"', b'",', 64
_ADVICE = "Restore the journal/ folder from a copy, or start again in a new work directory."
_ADVICE_ON_LAST = (
    "It is the newest entry, and the ones before it may suffice: `munet verify --workdir={} --repair` sees whether "
    "they do, and then drops it, so that the run goes on from there. Restore it from a copy where they do not."
)


class Journal:
    """The entries of a run in the order they were appended. Any number of readers; one writer.

    Args:
      path: the folder.
      check_held: asked before each entry is written: refuses where another process has taken over.
    """

    def __init__(self, path: str | os.PathLike[str], check_held: Callable[[], None] = lambda: None):
        self._folder = open_folder(path)
        self._check_held = check_held
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
        if self._head[0] == length:
            return self._head[1]
        found = _hash(self._read(length - 1))
        if length > self._head[0]:  # what a writer has folded is kept, whatever is looked up of the past
            self._head = (length, found)
        return found

    def append(self, entry: JournalEntry, at: int | None = None) -> None:
        """Adds an entry, atomically: after a kill at any instruction it is there, or the journal is as before.

        Args:
          entry: what follows from the entries before it.
          at: how many those are: the length that was folded; None: whatever is there.

        Raises:
          WorkdirError: another process has appended in the meantime, or taken over.
          CorruptionError: the newest entry is not the one that was read.
          DiskFullError: nothing is left behind.
        """
        self._check_held()
        length = len(self) if at is None else at
        if len(self) != length:
            raise WorkdirError(_two_writers(self._folder.location(_name(len(self) - 1))))
        if length and self._head[0] == length and _hash(self._read(length - 1)) != self._head[1]:
            raise CorruptionError(
                f"{self._folder.location(_name(length - 1))} is no longer what this process read: it was altered.",
                _ADVICE,
            )
        kind = next(kind for kind, cls in _KINDS.items() if cls is type(entry))
        version = _NEWER.get(kind, FORMAT_VERSION)
        content = {"format": version, "kind": kind, "previous": self.hash_at(length), "entry": to_json(entry)}
        data = signed(content)
        try:
            self._folder.create(_name(length), data)
        except FileExistsError:
            raise WorkdirError(_two_writers(self._folder.location(_name(length)))) from None
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
            try:
                entry = self._decode(index, data, previous)
            except CorruptionError as error:
                if 0 < index == length - 1:
                    raise CorruptionError(
                        error.text, _ADVICE_ON_LAST.format(self.path.removesuffix("/journal"))
                    ) from None
                raise
            yield entry
            previous = _hash(data)
        if start < length >= self._head[0]:
            self._head = (length, previous)

    def check_format(self) -> None:
        """Refuses a journal of a newer format by its first entry, without reading the rest.

        Raises:
          CorruptionError: the first entry is missing or altered.
          WorkdirError: it was written by a newer munet.
        """
        if len(self):
            self._decode(0, self._read(0), "")

    def drop_last(self) -> str:
        """Takes the newest entry, which is damaged, out of the journal; only for whoever holds the lock.

        Raises:
          CorruptionError: there is nothing to show that it is this entry which is damaged, and not the one before.

        Returns:
          Where its bytes are kept: beside the others, under a name that is none of an entry.
        """
        index = len(self) - 1
        data, kept = self._read(index), f"{_name(index)}.damaged"
        if has_own_hash(data):
            where = self._folder.location(_name(index))
            raise CorruptionError(f"{where} is what was written: the entry before it was altered.", _ADVICE)
        self._folder.replace(kept, data)
        self._folder.delete([_name(index)])
        self._length, self._head = index, (0, "")
        return self._folder.location(kept)

    def _decode(self, index: int, data: bytes, previous: str) -> JournalEntry:
        where = self._folder.location(_name(index))
        if data.startswith(_HASH_PREFIX) and not has_own_hash(data):
            raise CorruptionError(f"{where} is not what was written: its own SHA-256 says so.", _ADVICE)
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
            (type(version) is not int or version < 1)
            or content.keys() != (_KEYS | {"sha256"} if version >= _OWN_HASH_VERSION else _KEYS)
            or (version >= _OWN_HASH_VERSION and not has_own_hash(data))
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


def _two_writers(location: str) -> str:
    return (
        f"{location} was written by another process just now: two runs share this work directory. This one stops, with "
        "nothing written. If the other stops, too, for it had hung while this one took over, start this one again."
    )


def signed(content: dict[str, Any]) -> bytes:
    """The bytes of an entry's file, with its own hash in front of the rest."""
    rest = dumps(content).removeprefix(b"{") + b"\n"
    return _HASH_PREFIX + _hash(rest).encode() + _HASH_SUFFIX + rest


def has_own_hash(data: bytes) -> bool:
    """Whether the bytes of an entry's file are those that `signed` made."""
    start = len(_HASH_PREFIX) + _HASH_DIGITS + len(_HASH_SUFFIX)
    rest = data[start:]
    return data[:start] == _HASH_PREFIX + _hash(rest).encode() + _HASH_SUFFIX


def _name(index: int) -> str:
    return f"{index:08d}.json"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
