"""Tasks of values for the trainer: which of them train side by side as one stream, and how all are measured at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from munet.data.splits import SplitName
from munet.data.tasks import Task
from munet.joint.held_out import Measured
from munet.joint.learner import StreamName
from munet.joint.program import Programs
from munet.joint.rounds import Stream
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import NETS, Net
from munet.types import TaskName


def nets_of(tasks: Sequence[Task]) -> list[Net]:
    """The architecture of every task; equal ones are one object."""
    made: dict[tuple[int, ...], Net] = {}
    for task in tasks:
        shape = task.split("train").images.shape[1:]
        made.setdefault(shape, NETS["linear"](shape))
    return [made[task.split("train").images.shape[1:]] for task in tasks]


def together(tasks: Sequence[Task], nets: Sequence[Net], batch_size: int) -> dict[StreamName, list[int]]:
    """Numbers of the tasks of each stream: those of one architecture that see all of as many examples every round.

    Such tasks are one program over an axis of tasks; others have a stream each.
    """
    found: dict[tuple[object, ...], list[int]] = {}
    for number, (task, net) in enumerate(zip(tasks, nets, strict=True)):
        size = task.info.num_train
        found.setdefault((id(net), size) if size <= batch_size else (number,), []).append(number)
    return {
        f"{nets[numbers[0]].name} of {len(numbers)}" if len(numbers) > 1 else tasks[numbers[0]].info.name: numbers
        for numbers in found.values()
    }


def stream_of(name: StreamName, tasks: Sequence[Task], batch_size: int) -> Stream:
    """The stream of some tasks: examples first, then tasks.

    Args:
      name: of the stream.
      tasks: with equally many examples.
      batch_size: examples of each task in a round, at most.
    """
    splits = [task.split("train") for task in tasks]
    inputs, targets = (np.stack(arrays, axis=1) for arrays in _arrays(splits))
    size = min(batch_size, len(targets))
    return Stream(name, inputs, targets, size, _path_of(name), is_whole=size == len(targets))


def _path_of(name: StreamName) -> Callable[[int], tuple[str | int, ...]]:
    return lambda seed: ("muir", seed, "batches", name)


def _arrays(splits: Sequence[Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [split.images for split in splits], [split.labels for split in splits]


class HeldOut:
    """Measures the models of all tasks in one program.

    Args:
      learner: the method.
      tasks: opened, in the order of their numbers.
    """

    def __init__(self, learner: Muir, tasks: Sequence[Task]):
        self._learner, self._tasks = learner, tasks
        self._programs: dict[int, Callable[..., Any]] = {}

    def __call__(self, programs: Programs, state: Any, split: SplitName) -> Mapping[TaskName, list[Measured]]:
        """Mean losses of a split, by task and replica."""
        if id(programs) not in self._programs:
            self._programs = {id(programs): programs.compiled(self._learner.losses, shared=2)}
        parts = [[self._tasks[number].split(split) for number in part.tasks] for part in self._learner.plan.parts]
        inputs, targets = zip(*((np.stack(x), np.stack(y)) for x, y in map(_arrays, parts)), strict=True)
        losses = self._programs[id(programs)](state, inputs, targets)
        found: dict[TaskName, list[Measured]] = {}
        for part, own, splits in zip(self._learner.plan.parts, losses, parts, strict=True):
            for at, number in enumerate(part.tasks):
                values = np.asarray(own)[:, at]
                found[self._tasks[number].info.name] = [
                    Measured(None, float(value), len(splits[at])) for value in values
                ]  # fmt: skip
        return {task.info.name: found[task.info.name] for task in self._tasks}
