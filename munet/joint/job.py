"""A joint training that is checked and ready to start, whatever its method: what the trainer needs, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from munet.data.splits import Split, SplitName
from munet.data.tasks import Task
from munet.joint.held_out import Measured
from munet.joint.learner import Facts, Learner
from munet.joint.length import Length
from munet.joint.program import Programs
from munet.joint.rounds import Stream
from munet.training.batches.stream import Resize
from munet.training.measure.evaluation import Measurement
from munet.training.placement.devices import DeviceLayout
from munet.types import ComponentName, TaskName
from munet.vit.init import FlatArrays

if TYPE_CHECKING:
    from munet.joint.beginning import Beginning
    from munet.joint.run import Finished
    from munet.joint.workdir import Workdir
    from munet.kinds import Kind

Criterion = Literal["loss", "quality"]
MeasureAll = Callable[[Programs, Any, SplitName], Mapping[TaskName, Sequence[Measured]]]


@dataclass(frozen=True)
class Free:
    """What may differ between starts: of a config's `runtime`."""

    checkpoint_minutes: float
    max_hours: float = 0.0
    max_resident: float = float("inf")
    decoding_threads: int = 0


@dataclass(frozen=True)
class Words:
    """What people read of a training.

    Attributes:
      title: what it is: "Joint fine-tuning".
      picture: title of the curve's picture.
      headline: a line before it begins.
      summary: lines of the dry run about data and length.
      advice: what to change where it diverges.
      unit: what a round is called.
    """

    title: str
    picture: str
    headline: str
    summary: Sequence[str]
    advice: str
    unit: str = "round"


def _not_estimated() -> int:
    return 0


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
      kind: of its work directory.
      learner: the method.
      streams: what a round has a batch of.
      tasks: opened; their test splits are looked at once, at the end.
      validation: measured for the curve, labels as the learner takes them.
      tested: a task's test split, labels as the learner takes them; only asked inside of `task.testing()`.
      resize: how a task's images come to the size that its model sees.
      seeds: of the replicas.
      length: how long.
      keeps_best: by what the best version of every group is chosen; "": the last one counts.
      free: what may differ between starts.
      layout: the devices.
      beginning: what the training begins with.
      words: for people.
      measure_test: how a task's published model is measured, where it can be measured by itself; None: as for the
        curve.
      publish: makes files of what came of it, and the record of them.
      measure_all: measures a split of all tasks at once, by task and replica; None: they are image classification, and
        measured one by one. Test splits only inside of `task.testing()`.
      has_one_head: whether one program answers for every task.
      activation_bytes: says what a round takes beside state and gradients, roughly, of one replica, all devices
        together; asked where it decides something, because it may trace programs. 0: it is not estimated, and left out
        of what a replica takes.
    """

    kind: Kind
    learner: Learner[Any]
    streams: tuple[Stream, ...]
    tasks: tuple[Task, ...]
    validation: Mapping[TaskName, Split]
    tested: Callable[[Task], Split]
    resize: Mapping[TaskName, Resize]
    seeds: tuple[int, ...]
    length: Length
    keeps_best: Criterion | Literal[""]
    free: Free
    layout: DeviceLayout
    beginning: Beginning
    words: Words
    publish: Callable[[Workdir, Finished], Any]
    activation_bytes: Callable[[], int] = _not_estimated
    measure_test: Callable[[Task, Mapping[ComponentName, FlatArrays], Facts], Measurement] | None = None
    measure_all: MeasureAll | None = None
    has_one_head: bool = False

    @property
    def num_images(self) -> int:
        """Training images, all streams together, of every task."""
        return sum(len(stream.labels) * stream.num_tasks for stream in self.streams)

    @property
    def example(self) -> str:
        """What one of the things is called that batches are of: an image, where all tasks are of images and classes."""
        is_of_images = all(task.info.class_names and not task.info.objective for task in self.tasks)
        return "image" if is_of_images else "example"

    @property
    def images_per_round(self) -> int:
        """Of one replica, of every task."""
        return sum(stream.batch_size * stream.num_tasks for stream in self.streams)
