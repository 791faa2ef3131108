"""What a joint training keeps of its course, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from munet import intervals
from munet.text import with_interval
from munet.types import ComponentId, ComponentName, ComponentRecord, Quality, TaskName

COMPONENTS = "components"  # folder of what was trained, one file a layer


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
        return COMPONENTS, COMPONENTS


def _accuracies(tests: Mapping[TaskName, Quality]) -> list[str]:
    return [
        f"test accuracy of {name}: {with_interval(quality.value, intervals.of_quality(quality))}, {quality.correct:,} "
        f"of {quality.counted:,}"
        for name, quality in tests.items()
    ]
