"""results.csv and results_tasks.csv: the numbers of the paper's Tables 1, 2, 6 and 7, for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from munet.suites import summary
from munet.suites.rows import Row


def methods(rows: Sequence[Row]) -> str:
    """Table 1 or 2, a line for each method; accuracies in percent."""
    lines: list[list[object]] = [
        [
            "method", "title", "runs", "test_max", "test_mean", "test_std", "validation_mean", "validation_std",
            "params_per_task_mean", "params_per_task_std", "device_hours_mean", "image_steps_mean", "tasks",
        ]
    ]  # fmt: skip
    labels = summary.tasks(rows)
    for method in summary.methods(rows):
        lines.append(
            [
                method.name,
                method.title,
                len(method.seeds),
                _points(method.test.max),
                _points(method.test.mean),
                _points(method.test.std),
                _points(method.validation.mean),
                _points(method.validation.std),
                f"{method.params_per_task.mean:.1f}",
                "" if method.params_per_task.std is None else f"{method.params_per_task.std:.1f}",
                f"{method.device_hours.mean:.4f}",
                f"{method.image_steps.mean:.0f}",
                ", ".join(labels[task] for task in method.by_task),
            ]
        )
    return text(lines)


def tasks(rows: Sequence[Row]) -> str:
    """Tables 6 or 7, test and validation: a line for each method and task; accuracies in percent."""
    splits = {row.task: row.split for row in rows}
    lines: list[list[object]] = [
        ["method", "title", "task", "split", "runs", "test_mean", "test_std", "validation_mean", "validation_std"]
    ]
    for method in summary.methods(rows):
        for task, (test, validation) in method.by_task.items():
            spreads = [_points(value) for value in (test.mean, test.std, validation.mean, validation.std)]
            lines.append([method.name, method.title, task, splits[task], len(test.values), *spreads])
    return text(lines)


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.4f}"


def text(lines: Iterable[Iterable[object]]) -> str:
    """Lines of cells as a file; of fractions six digits."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for line in lines:
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in line])
    return buffer.getvalue()
