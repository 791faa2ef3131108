"""What a joint training keeps in its directory, and the lock on it.

KIND.json                   what it began with (train, pretrain, muir, routing): settings, data, devices, software
curve.jsonl                 the validation curve, one line a measurement (and replica); curve.svg draws it
decisions.jsonl             what the learner decided between blocks; there where it did
in_training/                the training state (Orbax), until the end
components/                 what was trained, one safetensors file a layer (train, routing)
NAME.npz, NAME.md           of a pre-training: the root, and its card
replica_SEED*.safetensors   of MUiR: modules with their alignment, and the plain weights that they come to
result.json                 written last: training is complete
log.jsonl                   every event
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from munet import kinds
from munet.errors import CorruptionError, WorkdirError
from munet.joint.beginning import FORMAT_VERSION, Beginning
from munet.joint.records import COMPONENTS, CurvePoint, Decision, PretrainResult
from munet.kinds import Kind
from munet.store import codec
from munet.store.components import ComponentStore
from munet.store.folders import absolute, is_remote, open_folder
from munet.store.keeper import Keeper
from munet.store.lock import check_usable
from munet.store.one_writer import only_writer

_CURVE, _DECISIONS, _RESULT, _IN_TRAINING = "curve.jsonl", "decisions.jsonl", "result.json", "in_training"
_Line = TypeVar("_Line")


PRETRAIN, TRAIN = kinds.named("pretrain"), kinds.named("train")


class Workdir:
    """The directory of one joint training, local or a URL.

    Raises:
      WorkdirError: it holds something else.
    """

    def __init__(self, workdir: str | os.PathLike[str], kind: Kind):
        self.kind = kind
        self.path = absolute(workdir)  # Orbax takes no relative one
        self._files = open_folder(self.path)
        self._keeper: Keeper | None = None
        if not is_remote(self.path):
            check_usable(Path(self.path), {kind.start}, kind.what)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other process out while the block runs; in object stores by a lease.

        Raises:
          WorkdirError: a living process holds it.
        """
        with only_writer(self.path, [self.path], lambda: not self._files.names()) as self._keeper:
            try:
                for folder in (self._files, open_folder(self.components.path)):
                    folder.remove_leftovers()
                yield
            finally:
                self._keeper = None

    def check_held(self) -> None:
        """Refuses to go on where another process has taken over, or the directory is no longer in its place.

        Raises:
          WorkdirError: so it is.
        """
        if self._keeper is not None:
            self._keeper.check()

    def _replace(self, name: str, data: bytes) -> None:
        self.check_held()
        self._files.replace(name, data)

    @property
    def in_training(self) -> str:
        """Where training states are saved."""
        return f"{self.path.rstrip('/')}/{_IN_TRAINING}"

    def beginning(self) -> Beginning | None:
        """What the training here began with; None if there is none.

        Raises:
          CorruptionError: the file is damaged.
          WorkdirError: it was written by a newer version.
        """
        if not self._files.exists(self.kind.start):
            return None
        found = self._read(self.kind.start)
        version = found.get("format_version") if isinstance(found, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise WorkdirError(
                f"{self.location(self.kind.start)} has format version {version}, this munet reads up to "
                f"{FORMAT_VERSION}: update munet."
            )
        return codec.from_json(Beginning, found, self.location(self.kind.start))

    def begin(self, beginning: Beginning) -> None:
        """Keeps what a training begins with."""
        self._files.create(self.kind.start, codec.dumps(codec.to_json(beginning)) + b"\n")

    def curve(self) -> list[CurvePoint]:
        """The validation curve so far."""
        return self._lines(_CURVE, CurvePoint)

    def write_curve(self, points: Sequence[CurvePoint], picture: str) -> None:
        """Replaces the validation curve and its picture, each as a whole: a few kilobytes."""
        self._write_lines(_CURVE, points)
        self._replace("curve.svg", picture.encode())

    def decisions(self) -> list[Decision]:
        """What was decided so far."""
        return self._lines(_DECISIONS, Decision)

    def write_decisions(self, decisions: Sequence[Decision]) -> None:
        """Replaces the file of decisions as a whole."""
        self._write_lines(_DECISIONS, decisions)

    def _lines(self, name: str, kind: type[_Line]) -> list[_Line]:
        """The content of a file of one JSON object a line; none where there is no such file."""
        if not self._files.exists(name):
            return []
        place = self.location(name)
        return [codec.from_json(kind, codec.loads(line, place), place) for line in self._files.read(name).splitlines()]

    def _write_lines(self, name: str, lines: Sequence[object]) -> None:
        self._replace(name, b"".join(codec.dumps(codec.to_json(line)) + b"\n" for line in lines))

    @property
    def components(self) -> ComponentStore:
        """Where components are published."""
        return ComponentStore(f"{self.path.rstrip('/')}/{COMPONENTS}", self.check_held)

    def result(self) -> Any:
        """What came of the training, of the kind's class; None while it is not complete.

        Raises:
          CorruptionError: the file is damaged, or a pre-trained root is not what was written.
        """
        if not self._files.exists(_RESULT):
            return None
        result = codec.from_json(self.kind.trained.result(), self._read(_RESULT), self.location(_RESULT))
        if not isinstance(result, PretrainResult):
            return result
        is_there = self._files.exists(result.file)
        if not is_there or hashlib.sha256(self._files.read(result.file)).hexdigest() != result.sha256:
            raise CorruptionError(
                f"{self.location(result.file)} {'is not what was written' if is_there else 'is missing'}: training is "
                f"complete, and made a file of SHA-256 {result.sha256}. Restore it, or train in another --workdir."
            )
        return result

    def finish(self, result: Any, files: Mapping[str, bytes]) -> None:
        """Puts files in place, in their order, then the word that training is complete."""
        for name, data in files.items():
            self._replace(name, data)
        self._replace(_RESULT, codec.dumps(codec.to_json(result)) + b"\n")

    def location(self, name: str) -> str:
        """The full path of a file, for messages."""
        return self._files.location(name)

    def _read(self, name: str) -> object:
        return codec.loads(self._files.read(name), self.location(name))
