"""Which classes of a task have no images in a split, or a single one to be trained on.

Such tasks are used, but nobody should be surprised by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from munet.data.tasks import Task

_MAX_NAMES = 6  # class names shown
_MANY = 10  # training images of a class, beside which a class of one is told


def notes_on_classes(task: Task, with_test: bool = False) -> list[str]:
    """What is worth saying of classes that have too few images in a split, a line for each.

    Args:
      task: it is decoded.
      with_test: also of test images; never while the task's run goes on.

    Raises:
      DataError: the images cannot be decoded, or labels are out of range.
    """
    num_classes = task.info.num_classes
    train, validation = (
        np.bincount(task.split(name).labels, minlength=num_classes) for name in ("train", "validation")
    )
    notes = []
    if not train.all():
        notes.append(f"{_these(task, train == 0)} no training images: no model can learn them.")
    if (train == 1).any() and train.max() >= _MANY:
        notes.append(f"{_these(task, train == 1)} one training image, where others have up to {train.max():,}.")
    if (train > 0)[validation == 0].any():
        notes.append(f"{_these(task, (validation == 0) & (train > 0))} no validation images: they choose no model.")
    if with_test:
        with task.testing():
            test = np.bincount(task.split("test").labels, minlength=num_classes)
        if (test[train == 0] > 0).any():
            images = int(test[train == 0].sum())
            notes.append(f"{_these(task, (train == 0) & (test > 0))} test images ({images:,}) all the same.")
        if (train > 0)[test == 0].any():
            notes.append(f"{_these(task, (test == 0) & (train > 0))} no test images: test accuracy leaves them out.")
    return [f"{task.info.name}: {note}" for note in notes]


def class_names_text(class_names: Sequence[str]) -> str:
    """The first few class names, and how many more there are."""
    shown = ", ".join(class_names[:_MAX_NAMES])
    rest = len(class_names) - _MAX_NAMES
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _these(task: Task, which: np.ndarray) -> str:
    labels = np.flatnonzero(which)
    names = class_names_text([task.info.class_names[label] for label in labels])
    return f"{len(labels):,} of {task.info.num_classes:,} classes ({names}) {'has' if len(labels) == 1 else 'have'}"
