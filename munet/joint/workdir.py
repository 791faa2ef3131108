"""What a pre-training keeps in its directory, and the lock on it.

pretrain.json     what it began with: recipe, data, devices, software
curve.jsonl       the validation curve, one line a measurement; curve.svg draws it
in_training/      the training state (Orbax), until the end
NAME.npz, .md     the root and its card
result.json       written last: training is complete
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from munet.config import differences, to_json
from munet.config.pretrain import Recipe
from munet.errors import CorruptionError, WorkdirError
from munet.run import start
from munet.store import codec, lease
from munet.store.folders import is_remote, open_folder
from munet.store.keeper import Keeper
from munet.store.lock import check_usable, locked
from munet.types import Quality, TaskInfo, TaskName

_START, _CURVE, _RESULT, _IN_TRAINING = "pretrain.json", "curve.jsonl", "result.json", "in_training"
_FORMAT_VERSION = 1
_OTHER = "Give another --workdir for the new recipe, or the old settings to go on with the old one."


@dataclass(frozen=True)
class Beginning:
    """What a training begins with, and must be the same when it goes on; layout and versions may differ, with a note.

    Attributes:
      experiment: the recipe as plain JSON values.
      tasks: what is learnt.
      layout: devices, as `DeviceLayout.describe` gives them.
      versions: of packages.
    """

    experiment: Mapping[str, object]
    tasks: tuple[TaskInfo, ...]
    layout: Mapping[str, object]
    versions: Mapping[str, object]
    format_version: int = _FORMAT_VERSION


@dataclass(frozen=True)
class CurvePoint:
    """A line of the validation curve.

    Attributes:
      step: training steps before it.
      epoch: the same in passes over the training images.
      learning_rate: of the step before it.
      training_loss: mean over the steps since the line before; of augmented images and smoothed labels.
      validation_loss: mean cross-entropy over the validation images of all tasks.
      validation: right among all classes, by task.
      seconds: of training so far, all starts together.
    """

    step: int
    epoch: float
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation: Mapping[TaskName, Quality]
    seconds: float


@dataclass(frozen=True)
class Result:
    """What came of a training.

    Attributes:
      file: name of the root's file.
      sha256: of its bytes.
      test: right among all classes, by task; measured once, at the end.
      num_params, head_params: of the trunk, and of the head.
      num_images: in training.
      num_steps, seconds: how long.
    """

    file: str
    sha256: str
    test: Mapping[TaskName, Quality]
    num_params: int
    head_params: int
    num_images: int
    num_steps: int
    seconds: float


class Workdir:
    """The directory of one pre-training, local or a URL.

    Raises:
      WorkdirError: it holds something else.
    """

    def __init__(self, workdir: str | os.PathLike[str]):
        path = os.fspath(workdir).removeprefix("file://")
        self.path = path if is_remote(path) else str(Path(path).absolute())  # Orbax takes no relative one
        self._files = open_folder(self.path)
        self._keeper: Keeper | None = None
        if not is_remote(self.path):
            check_usable(Path(self.path), {_START}, "pre-training")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other process out while the block runs; in object stores by a lease.

        Raises:
          WorkdirError: a living process holds it.
        """
        held: contextlib.AbstractContextManager[Keeper]
        if is_remote(self.path):
            held = lease.held(open_folder(f"{self.path.rstrip('/')}/lease"), lambda: not self._files.names())
        else:
            held = locked(Path(self.path), [self.path])
        with held as self._keeper:
            try:
                self._files.remove_leftovers()
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
        if not self._files.exists(_START):
            return None
        found = self._read(_START)
        version = found.get("format_version") if isinstance(found, dict) else None
        if isinstance(version, int) and version > _FORMAT_VERSION:
            raise WorkdirError(
                f"{self.location(_START)} has format version {version}, this munet reads up to {_FORMAT_VERSION}: "
                "update munet."
            )
        return codec.from_json(Beginning, found, self.location(_START))

    def begin(self, beginning: Beginning) -> None:
        """Keeps what a training begins with."""
        self._files.create(_START, codec.dumps(codec.to_json(beginning)) + b"\n")

    def curve(self) -> list[CurvePoint]:
        """The validation curve so far."""
        if not self._files.exists(_CURVE):
            return []
        place = self.location(_CURVE)
        lines = self._files.read(_CURVE).splitlines()
        return [codec.from_json(CurvePoint, codec.loads(line, place), place) for line in lines]

    def write_curve(self, points: Sequence[CurvePoint], picture: str) -> None:
        """Replaces the validation curve and its picture, each as a whole: a few kilobytes."""
        self._replace(_CURVE, b"".join(codec.dumps(codec.to_json(point)) + b"\n" for point in points))
        self._replace("curve.svg", picture.encode())

    def result(self) -> Result | None:
        """What came of the training; None while it is not complete.

        Raises:
          CorruptionError: the file is damaged, or the root is not what was written.
        """
        if not self._files.exists(_RESULT):
            return None
        result = codec.from_json(Result, self._read(_RESULT), self.location(_RESULT))
        is_there = self._files.exists(result.file)
        if not is_there or hashlib.sha256(self._files.read(result.file)).hexdigest() != result.sha256:
            raise CorruptionError(
                f"{self.location(result.file)} {'is not what was written' if is_there else 'is missing'}: training is "
                f"complete, and made a file of SHA-256 {result.sha256}. Restore it, or train in another --workdir."
            )
        return result

    def finish(self, result: Result, root: bytes, card: str) -> None:
        """Puts the root in place, then its card, then the word that training is complete."""
        self._replace(result.file, root)
        self._replace(f"{result.file.removesuffix('.npz')}.md", card.encode())
        self._replace(_RESULT, codec.dumps(codec.to_json(result)) + b"\n")

    def location(self, name: str) -> str:
        """The full path of a file, for messages."""
        return self._files.location(name)

    def _read(self, name: str) -> object:
        return codec.loads(self._files.read(name), self.location(name))


def check_same(found: Beginning, wanted: Beginning, workdir: str) -> None:
    """Refuses to go on with another recipe or other data; data are what they hold, not where they are.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    changes = [
        *recipe_differences(found.experiment, wanted.experiment),
        *start.task_differences(found.tasks, wanted.tasks),
    ]
    if changes:
        listed = "".join(f"\n  - {change}" for change in changes)
        raise WorkdirError(
            f"{workdir} holds a pre-training by another recipe. What differs (there -> here):{listed}\n{_OTHER}"
        )


def recipe_differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Fields in which two recipes differ; one that an older version did not have had its default. Not the tasks."""

    def complete(recipe: Mapping[str, object]) -> dict[str, object]:
        return {name: value for name, value in {**to_json(Recipe()), **recipe}.items() if name != "tasks"}

    return differences(complete(old), complete(new))
