"""The training images of several tasks as one set: brought to one size, classes numbered through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8

from munet.data import images as pixels
from munet.data.splits import Split
from munet.data.tasks import Task
from munet.types import TaskName


@dataclass(frozen=True)
class Examples:
    """What a root learns from.

    Attributes:
      images: of all tasks, one after the other.
      labels: among the classes of all tasks.
      validation: split of each task by name, as the task has it: images in their own size, labels of `images`.
      offsets: what was added to the labels of each task.
      num_classes: of all tasks.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int32[np.ndarray, " n"]
    validation: dict[TaskName, Split]
    offsets: dict[TaskName, int]
    num_classes: int


def merge(tasks: Sequence[Task]) -> Examples:
    """Decodes all tasks and joins them, then drops what is not needed for training.

    Where tasks have images of different sizes, all are brought to a square of the longest side that any has (on the
    host, once: batches mix tasks, and have one shape). Grey images stay one channel if all are grey.

    Raises:
      DataError: the images of a task cannot be decoded, or labels are out of range.
    """
    images, labels, validation, offsets, num_classes = [], [], {}, {}, 0
    for task in tasks:
        name, train = task.info.name, task.split("train")
        images.append(train.decoded)
        labels.append((train.labels + num_classes).astype(np.int32))
        validation[name] = shifted(task.split("validation"), num_classes)
        offsets[name] = num_classes
        num_classes += task.info.num_classes
        task.release()
    return Examples(_joined(images), np.concatenate(labels), validation, offsets, num_classes)


def shifted(split: Split, offset: int) -> Split:
    """A split with its classes numbered from `offset`."""
    return Split(split.images, (split.labels + offset).astype(np.int32))


def _joined(sets: Sequence[UInt8[np.ndarray, "_ _ _ _"]]) -> UInt8[np.ndarray, "n h w c"]:
    if len(sets) == 1:
        return sets[0]
    sides = {images.shape[1:3] for images in sets}
    if len(sides) > 1:
        canvas = max(max(shape) for shape in sides)
        sets = [images if images.shape[1:3] == (canvas, canvas) else _squashed(images, canvas) for images in sets]
    return pixels.merge_channels(sets)


def _squashed(images: UInt8[np.ndarray, "n _ _ c"], canvas: int) -> UInt8[np.ndarray, "n h w c"]:
    return np.stack([pixels.squash(image, canvas) for image in images])
