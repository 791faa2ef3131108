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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from munet import intervals, kinds
from munet.config.differences import differences, merged, to_json
from munet.errors import CorruptionError, WorkdirError
from munet.kinds import Kind
from munet.store import codec
from munet.store.components import ComponentStore
from munet.store.folders import absolute, is_remote, open_folder
from munet.store.keeper import Keeper
from munet.store.lock import check_usable
from munet.store.one_writer import only_writer
from munet.text import with_interval
from munet.types import ComponentId, ComponentName, ComponentRecord, Quality, TaskInfo, TaskName

_CURVE, _DECISIONS, _RESULT, _IN_TRAINING, _COMPONENTS = (
    "curve.jsonl", "decisions.jsonl", "result.json", "in_training", "components",
)  # fmt: skip
_FORMAT_VERSION = 1
_Line = TypeVar("_Line")
_OTHER = "Give another --workdir for the new recipe, or the old settings to go on with the old one."


@dataclass(frozen=True)
class Beginning:
    """What a training begins with, and must be the same when it goes on; layout and versions may differ, with a note.

    Attributes:
      experiment: the recipe, or the `experiment` part of the settings, as plain JSON values.
      tasks: what is learnt.
      layout: devices, as `DeviceLayout.describe` gives them.
      versions: of packages.
    """

    experiment: Mapping[str, object]
    tasks: tuple[TaskInfo, ...]
    layout: Mapping[str, object]
    versions: Mapping[str, object]
    format_version: int = _FORMAT_VERSION
    root: Mapping[str, object] = field(default_factory=dict)  # name, SHA-256 and variant of what it begins from
    folder: str = field(default="", metadata={"omit_default": True})  # from which relative paths of tasks go


@dataclass(frozen=True)
class CurvePoint:
    """A line of the validation curve.

    Attributes:
      step: training steps before it.
      epoch: the same in passes over the training images.
      learning_rate: of the step before it.
      training_loss: mean over the steps since the line before; of augmented images and smoothed labels.
      validation_loss: mean cross-entropy over the validation images of all tasks; of MUiR, whose tasks have losses of
        several kinds, the mean over tasks of their mean losses, by which the best version is found.
      validation: right among all classes, by task.
      seconds: of training so far, all starts together.
      replica: which one, from 0.
      training_losses, validation_losses: by stream and by task; curves of older versions have none.
    """

    step: int
    epoch: float
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation: Mapping[TaskName, Quality]
    seconds: float
    replica: int = 0
    training_losses: Mapping[str, float] = field(default_factory=dict)
    validation_losses: Mapping[TaskName, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What the learner of one replica did to its state between two blocks, in its own words."""

    round: int
    seed: int
    record: Mapping[str, object]


@dataclass(frozen=True)
class PretrainResult:
    """What came of a pre-training.

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

    def lines(self) -> list[str]:
        """For people, a line a task."""
        return _accuracies(self.test)

    @property
    def kept(self) -> tuple[str, str]:
        """What is to be used of it, in words, and its file."""
        return "root, with its card beside it", self.file


@dataclass(frozen=True)
class TaskResult:
    """What one task's model of one replica is.

    Attributes:
      components: ids by component name, in path order.
      validation: of the published version.
      test: measured once, at the end.
      test_correct_per_class, test_counted_per_class: the same by class.
      best_step: the round at which the task alone was best, by the validation split.
      best_validation: its quality then; shared parameters may have to serve others better.
      params, accounted_params, flops, extras: as the learner's `Facts`.
    """

    components: Mapping[ComponentName, ComponentId]
    validation: Quality
    test: Quality
    test_correct_per_class: tuple[int, ...]
    test_counted_per_class: tuple[int, ...]
    best_step: int
    best_validation: Quality
    params: int
    accounted_params: float
    flops: int
    extras: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ReplicaResult:
    """What came of one seed."""

    seed: int
    tasks: Mapping[TaskName, TaskResult]


@dataclass(frozen=True)
class JointResult:
    """What came of a joint training.

    Attributes:
      replicas: what came of each seed, the first of which is the system that is opened.
      root: ids of the root's components by name.
      published: records of all components of all replicas, and of the root's.
      num_rounds: how long.
      image_steps: training images that one replica saw.
      seconds: all starts together, all replicas.
    """

    replicas: tuple[ReplicaResult, ...]
    root: Mapping[ComponentName, ComponentId]
    published: Mapping[ComponentId, ComponentRecord]
    num_rounds: int
    image_steps: int
    seconds: float

    def lines(self) -> list[str]:
        """For people, a line a task of the first seed."""
        return _accuracies({name: one.test for name, one in self.replicas[0].tasks.items()})

    @property
    def kept(self) -> tuple[str, str]:
        """What is to be used of it, in words, and its folder."""
        return _COMPONENTS, _COMPONENTS


def _accuracies(tests: Mapping[TaskName, Quality]) -> list[str]:
    return [
        f"test accuracy of {name}: {with_interval(quality.value, intervals.of_quality(quality))}, {quality.correct:,} "
        f"of {quality.counted:,}"
        for name, quality in tests.items()
    ]


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
        if isinstance(version, int) and version > _FORMAT_VERSION:
            raise WorkdirError(
                f"{self.location(self.kind.start)} has format version {version}, this munet reads up to "
                f"{_FORMAT_VERSION}: update munet."
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
        return ComponentStore(f"{self.path.rstrip('/')}/{_COMPONENTS}", self.check_held)

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


def check_same(found: Beginning, wanted: Beginning, place: Workdir) -> None:
    """Refuses to go on with another recipe, root or data; data and root are what they hold, not where they are.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    if changes := beginning_differences(found, wanted, place.kind):
        listed = "".join(f"\n  - {change}" for change in changes)
        raise WorkdirError(
            f"{place.path} holds a {place.kind.what} by another recipe. What differs (there -> here):{listed}\n{_OTHER}"
        )


def beginning_differences(found: Beginning, wanted: Beginning, kind: Kind) -> list[str]:
    """In what two trainings differ that decides their results: settings, root, data."""
    from munet.run import start  # loads JAX, which nobody waits for who only looks into a directory

    return [
        *experiment_differences(found.experiment, wanted.experiment, kind),
        *start.root_differences(found.root, wanted.root),
        *start.task_differences(found.tasks, wanted.tasks),
    ]


def experiment_differences(old: Mapping[str, object], new: Mapping[str, object], kind: Kind) -> list[str]:
    """Fields in which two recipes differ; one that an older version did not have had its default. Not the places."""

    def complete(recipe: Mapping[str, object]) -> dict[str, object]:
        whole = merged(to_json(kind.defaults), recipe)
        return {name: value for name, value in whole.items() if name not in ("tasks", "root")}

    return differences(complete(old), complete(new))
