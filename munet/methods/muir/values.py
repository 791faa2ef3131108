"""Tasks for the trainer: which of them train side by side as one stream, and how all are measured at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from munet.data.splits import SplitName
from munet.data.tasks import Task
from munet.joint.held_out import Measured
from munet.joint.learner import StreamName
from munet.joint.program import Programs
from munet.joint.rounds import Stream
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import Net
from munet.methods.muir.objectives import arranged, windows
from munet.types import Quality, TaskName


def together(tasks: Sequence[Task], nets: Sequence[Net], batch_sizes: Sequence[int]) -> dict[StreamName, list[int]]:
    """Numbers of the tasks of each stream: linear models that see all of as many examples every round.

    Such tasks, whose validation and test splits are as large as each other's, too, are one program over an axis of
    tasks; others have a stream each.
    """
    found: dict[tuple[object, ...], list[int]] = {}
    for number, (task, net) in enumerate(zip(tasks, nets, strict=True)):
        info = task.info
        is_small = net.name == "linear" and info.num_train <= batch_sizes[number]
        key = (id(net), info.num_train, info.num_validation, info.num_test) if is_small else (number,)
        found.setdefault(key, []).append(number)
    named = {}
    for numbers in found.values():
        first = tasks[numbers[0]].info.name  # or groups of as many tasks would have one name
        named[f"{nets[numbers[0]].name} of {len(numbers)}, {first} first" if len(numbers) > 1 else first] = numbers
    return named


def stream_of(name: StreamName, tasks: Sequence[Task], net: Net, batch_size: int) -> Stream:
    """The stream of some tasks: examples first, then tasks, if there are several.

    Args:
      name: of the stream.
      tasks: with equally many examples.
      net: their architecture.
      batch_size: examples of each task in a round, at most; of a text how many pieces of it run side by side.
    """
    splits = [task.split("train") for task in tasks]
    if net.objective == "next_token":
        rows = min(batch_size, len(splits[0]) // net.inputs[0])
        inputs, targets = (windows(one, rows, net.inputs[0]) for one in (splits[0].decoded, splits[0].labels))
        inputs, targets = (one.reshape(-1, one.shape[-1]) for one in (inputs, targets))
        return Stream(name, inputs, targets, rows, _path_of(name), is_ordered=True)
    if len(tasks) == 1:
        inputs, targets = splits[0].decoded, splits[0].labels
    else:
        inputs, targets = (np.stack(arrays, axis=1) for arrays in _arrays(splits))
    size = min(batch_size, len(targets))
    is_ordered = size == len(targets)
    return Stream(name, inputs, targets, size, _path_of(name), is_ordered=is_ordered, num_tasks=len(tasks))


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
        self._programs: dict[tuple[Programs, SplitName], Callable[..., Any]] = {}
        self._validation: tuple[Any, Any, tuple[int, ...]] | None = None  # on the device, for all generations

    def __call__(self, programs: Programs, state: Any, split: SplitName) -> Mapping[TaskName, list[Measured]]:
        """Mean losses of a split, and what is right where there are classes, by task and replica."""
        inputs, targets, counted = self._arranged(split)
        if (programs, split) not in self._programs:
            is_test = split == "test"  # of what is published, or the result would be that of no model that there is
            evaluate = functools.partial(self._learner.evaluate, counted=counted, as_published=is_test)
            self._programs = {(programs, split): programs.compiled(evaluate, shared=2)}
        results = self._programs[programs, split](state, inputs, targets)
        found: dict[TaskName, list[Measured]] = {}
        parts = zip(self._learner.plan.parts, self._learner.nets, results, counted, strict=True)
        for part, net, (losses, correct), count in parts:
            for at, number in enumerate(part.tasks):
                pairs = zip(np.asarray(losses)[:, at], np.asarray(correct)[:, at], strict=True)
                found[self._tasks[number].info.name] = [
                    Measured(None if net.objective else Quality(int(right), count), float(loss), count)
                    for loss, right in pairs
                ]
        return {task.info.name: found[task.info.name] for task in self._tasks}

    def _arranged(self, split: SplitName) -> tuple[Any, Any, tuple[int, ...]]:
        """Inputs and targets of every part with an axis of its tasks, and how many predictions of each count."""
        if split == "validation" and self._validation is not None:
            return self._validation
        inputs, targets, counted = [], [], []
        for part, net in zip(self._learner.plan.parts, self._learner.nets, strict=True):
            cut = [arranged(net, self._tasks[number].split(split)) for number in part.tasks]
            inputs.append(np.stack([one.inputs for one in cut]))
            targets.append(np.stack([one.targets for one in cut]))
            counted.append(cut[0].counted)
        found = tuple(inputs), tuple(targets), tuple(counted)
        if split == "validation":
            self._validation = found = (*jax.device_put(found[:2]), found[2])
        return found
