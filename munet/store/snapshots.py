"""Snapshots of the state at the end of phases, so that a long journal loads fast.

Never truth: a snapshot that is damaged, or does not fit the journal, is as if it were not there. A file is one line of
JSON (length and head hash of the journal it stands for, SHA-256 of the rest) and one line with the state.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

from munet.errors import CorruptionError
from munet.store.codec import dumps, loads
from munet.store.folders import open_folder
from munet.store.journal import Journal

_FORMAT_VERSION = 1  # of the file; that of the state in it is replay's affair
_NUM_KEPT = 2  # the last one, and one more in case it is damaged
_NAME = re.compile(r"(\d{8})\.json")


class Snapshots:
    """The last snapshots of a run's state."""

    def __init__(self, path: str | os.PathLike[str]):
        self._folder = open_folder(path)

    @property
    def path(self) -> str:
        """The folder that holds the files."""
        return self._folder.path

    def save(self, length: int, head_hash: str, state_json: object) -> None:
        """Saves the state after the journal's first `length` entries, and removes all but the last two snapshots.

        Args:
          length: the journal's length.
          head_hash: `journal.head_hash` at that length.
          state_json: the state as `munet.store.codec.to_json` gives it.
        """
        body = dumps(state_json) + b"\n"
        head = {"format": _FORMAT_VERSION, "length": length, "head": head_hash, "sha256": _hash(body)}
        self._folder.replace(_name(length), dumps(head) + b"\n" + body)
        # A snapshot of a longer journal is one of a journal that has since been put back.
        kept = [old for old in self._lengths() if old <= length][:_NUM_KEPT]
        self._folder.delete([_name(old) for old in self._lengths() if old not in kept])

    def latest(self, journal: Journal) -> tuple[int, Any] | None:
        """The newest sound snapshot of this very journal: its length and the state as JSON value; None without one.

        The entries before it are not read, so not checked either (`munet verify` does).
        """
        available = len(journal)
        for length in self._lengths():
            if length <= available:
                state = self._load(length, journal.hash_at(length))
                if state is not None:
                    return length, state
        return None

    def heads(self) -> dict[int, str]:
        """The journal's head hash at each length that a sound snapshot was taken at: a witness against alteration."""
        return {length: head for length in self._lengths() if (head := self._own_head(length))}

    def sound(self) -> dict[str, bool]:
        """Whether each snapshot that is there is what was written, by the hash that it holds itself."""
        found = {length: bool(self._own_head(length)) for length in self._lengths()}
        # One that is not sound may just have been removed by the run.
        return {_name(n): ok for n, ok in found.items() if ok or self._folder.exists(_name(n))}

    def _own_head(self, length: int) -> str:
        """The head hash that a snapshot says it was taken at; "" where it is damaged or gone."""
        try:
            head: Any = loads(self._folder.read(_name(length)).partition(b"\n")[0], "snapshot")
        except (FileNotFoundError, CorruptionError):
            return ""
        is_sound = isinstance(head, dict) and self._load(length, str(head.get("head"))) is not None
        return str(head["head"]) if is_sound else ""

    def _load(self, length: int, head_hash: str) -> Any | None:
        try:
            head, _, body = self._folder.read(_name(length)).partition(b"\n")
            expected = {"format": _FORMAT_VERSION, "length": length, "head": head_hash, "sha256": _hash(body)}
            return loads(body, "snapshot") if loads(head, "snapshot") == expected else None
        except (FileNotFoundError, CorruptionError):
            return None

    def _lengths(self) -> list[int]:
        """Journal lengths that there are snapshots of, newest first."""
        matches = (_NAME.fullmatch(name) for name in self._folder.names())
        return sorted((int(match[1]) for match in matches if match), reverse=True)


def _name(length: int) -> str:
    return f"{length:08d}.json"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
