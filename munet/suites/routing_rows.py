"""Rows of routed trainings seed by seed: as a CSV file, as pictures of many tasks, and how they tell groups apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from munet.methods.gumbel_matrix.clustering import Separation, are_groups, cosines, separation
from munet.report.charts import routing
from munet.report.charts.chart import Chart
from munet.suites import csv_files
from munet.types import TaskInfo

if TYPE_CHECKING:
    from munet.suites.routing_report import Trained

_MANY = 10  # tasks from which rows are drawn as a picture
_COLUMNS = (
    "method", "seed", "task", "uri", "test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "rows",
    "probabilities", "connections", "used", "expected", "params", "accounted_params", "flops", "distinct_rows",
)  # fmt: skip


def csv(trained: Mapping[str, Trained]) -> str:
    """A line for each method, seed and task; rows of layers and their probabilities are separated by `|`."""
    lines: list[Iterable[object]] = [_COLUMNS]
    for name, one in trained.items():
        uris = {info.name: info.uri for info in one.beginning.tasks}
        for replica in one.result.replicas:
            for task, found in replica.tasks.items():
                probable = [[f"{p:.4f}" for p in layer] for layer in found.probabilities]
                flat = [p for layer in found.probabilities for p in layer]
                lines.append(
                    (
                        name, replica.seed, task, uris[task], _share(found.test), found.test_loss,
                        _share(found.validation), found.validation_loss, "|".join(found.rows),
                        "|".join(map(" ".join, probable)), len(flat), found.embedding.count("1"),
                        float(np.sum(flat)), found.params, found.accounted_params, found.flops, replica.num_distinct,
                    )
                )  # fmt: skip
    return csv_files.text(lines)


def groups(infos: Iterable[TaskInfo]) -> list[str]:
    """The data set that each task is made from."""
    return [info.uri.partition("?")[0] for info in infos]


def separations(one: Trained) -> list[Separation]:
    """How well the cosines of rows tell tasks of different data sets apart, seed by seed.

    None where there is one set only, or every task is of its own: then there is nothing to find.
    """
    known = groups(one.beginning.tasks)
    if not are_groups(known) or one.result.allocation != "learnt":
        return []
    return [separation(cosines(replica.embeddings), known) for replica in one.result.replicas]


def charts(name: str, one: Trained) -> list[Chart]:
    """Figures 5 and 6 of the first seed, where there are many tasks whose rows are learnt."""
    first = one.result.replicas[0]
    if one.result.allocation != "learnt" or len(first.tasks) < _MANY or not first.embeddings.size:
        return []
    names, of_sets = list(first.tasks), [group.partition(":")[2] for group in groups(one.beginning.tasks)]
    rows = [task.rows for task in first.tasks.values()]
    return [
        Chart(
            f"{name}_rows",
            f"{one.title}: which task uses which component",
            f"Seed {first.seed}; a line a task, a cell a component; coloured: used.",
            routing.embeddings(names, of_sets, rows),
        ),
        Chart(
            f"{name}_similarity",
            f"{one.title}: how similar the tasks' rows are",
            f"Seed {first.seed}; cosine of the rows of all layers, the darker the nearer to 1.",
            routing.similarities(names, cosines(first.embeddings)),
        ),
    ]


def _share(quality: object) -> object:
    value = getattr(quality, "value", None)
    return "" if value is None else value
