"""What `munet data TASK...` says: splits, counts, classes and shapes of tasks as a table; which classes lack images.

Tasks with such classes are used, but nobody should be surprised by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from munet.data.tasks import SPLITS, Task

_MAX_NAMES = 6  # class names shown


def describe_tasks(tasks: Sequence[Task]) -> Table:
    """A table with a row for each task. Decodes the tasks.

    Raises:
      DataError: a task's images cannot be decoded, or its labels are out of range.
    """
    table = Table(title="Tasks", title_justify="left", title_style="bold")
    table.add_column("task", style="bold", overflow="fold")
    table.add_column("classes", justify="right")
    for name in SPLITS:
        table.add_column(name, justify="right")
    table.add_column("train images a class", justify="right")
    table.add_column("image", justify="right")
    table.add_column("class names", overflow="fold")
    for task in tasks:
        info = task.info
        counts = np.bincount(task.split("train").labels, minlength=info.num_classes)
        table.add_row(
            escape(info.uri),
            f"{info.num_classes:,}",
            *(f"{count:,}" for count in (info.num_train, info.num_validation, info.num_test)),
            _range(int(counts.min()), int(counts.max())),
            shape_text(task.image_shape),
            escape(class_names_text(info.class_names)),
        )
    return table


def notes_on_classes(task: Task, with_test: bool = False) -> list[str]:
    """What is worth saying of classes that have no images in a split, a line for each.

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


def shape_text(shape: tuple[int, int, int]) -> str:
    """An image shape for people: `28x28 grey`."""
    height, width, channels = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'colour'}"


def class_names_text(class_names: Sequence[str]) -> str:
    """The first few class names, and how many more there are."""
    shown = ", ".join(class_names[:_MAX_NAMES])
    rest = len(class_names) - _MAX_NAMES
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _these(task: Task, which: np.ndarray) -> str:
    labels = np.flatnonzero(which)
    names = class_names_text([task.info.class_names[label] for label in labels])
    return f"{len(labels):,} of {task.info.num_classes:,} classes ({names}) {'has' if len(labels) == 1 else 'have'}"
