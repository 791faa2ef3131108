"""What `munet data TASK...` says: splits, counts, classes and shapes of tasks as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from munet.data.class_notes import class_names_text
from munet.data.tasks import SPLITS, Task


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


def shape_text(shape: tuple[int, int, int]) -> str:
    """An image shape for people: `28x28 grey`."""
    height, width, channels = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'colour'}"


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
