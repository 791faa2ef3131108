"""Rows of routed trainings seed by seed: as a CSV file, as pictures of many tasks, and how they tell groups apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from munet.config.routing import RoutingExperiment
from munet.data.uris import parse_uri
from munet.methods.gumbel_matrix.clustering import Separation, are_groups, cosines, separation
from munet.methods.gumbel_matrix.networks import names, network
from munet.methods.gumbel_matrix.result import PROBABILITIES, RoutedReplica
from munet.report.charts import connections, routing
from munet.report.charts.chart import Chart
from munet.store import codec
from munet.suites import csv_files
from munet.text import markdown_table
from munet.types import TaskInfo

if TYPE_CHECKING:
    from munet.suites.routing_report import Trained

_MANY = 10  # tasks from which rows are drawn as a picture
_MOST_LINES = 12  # tasks whose probabilities are drawn as lines, the first ones, if no layer has more components
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
    """The data set that each task is made from, whatever its name and options; a task that is made is of its own."""
    return [_data_set(info.uri) for info in infos]


def _data_set(uri: str) -> str:
    if uri.startswith("made:"):  # for the training, from no data
        return uri
    parsed = parse_uri(uri)
    return f"{parsed.scheme}:{parsed.path}"


def separations(one: Trained) -> list[Separation]:
    """How well the cosines of rows tell tasks of different data sets apart, seed by seed.

    None where there is one set only, or every task is of its own: then there is nothing to find.
    """
    known = groups(one.beginning.tasks)
    if not are_groups(known) or one.result.allocation != "learnt":
        return []
    return [separation(cosines(replica.embeddings), known) for replica in one.result.replicas]


def charts(name: str, one: Trained) -> list[Chart]:
    """Figures 5, 6 and 8 of the first seed, where rows are learnt: the former of many tasks, the last one of few."""
    first = one.result.replicas[0]
    if one.result.allocation != "learnt" or not first.embeddings.size:
        return []
    return [*_pictures(name, one, first), *_lines(name, one, first)]


def usage(one: Trained) -> list[str]:
    """A table of how many tasks use each kind of component, by layer, mean of all seeds; none where all are alike."""
    settings = one.beginning.experiment
    if "network" not in settings:
        return []
    named = names(network(codec.from_json(RoutingExperiment, settings, "the settings")))
    if not named or any("no. " in name for name in named):
        return []
    used = np.mean([replica.usage for replica in one.result.replicas], axis=0)  # such layers are equally wide
    head = ["component", *(f"layer {number}" for number in range(len(used)))]
    body = [[name, *(f"{tasks:.3g}" for tasks in used[:, place])] for place, name in enumerate(named)]
    count = len(one.result.replicas[0].tasks)
    told = f"How many of the {count} tasks use each component (mean of {len(one.result.replicas)} seeds):"
    return ["", told, "", *markdown_table(head, body).splitlines()]


def _lines(name: str, one: Trained, first: RoutedReplica) -> list[Chart]:
    """Figure 8."""
    looks = [look for look in one.looks if look.seed == first.seed and PROBABILITIES in look.record]
    if len(looks) < 2 or max(map(len, next(iter(first.tasks.values())).rows)) > _MOST_LINES:
        return []
    kept: list[Any] = [look.record[PROBABILITIES] for look in looks]
    experiment = codec.from_json(RoutingExperiment, one.beginning.experiment, "the settings")
    start = min(experiment.p_init) if len(set(experiment.p_init)) == 1 else None
    rounds = [look.round for look in looks]
    by_task = {task: [record[task] for record in kept] for task in [*first.tasks][:_MOST_LINES]}
    if start is not None:
        rounds = [0, *rounds]
        by_task = {task: [[[start] * len(row) for row in found[0]], *found] for task, found in by_task.items()}
    spec = connections.spec(rounds, by_task, names(network(experiment)))
    return [
        Chart(
            f"{name}_probabilities",
            f"{one.title}: how probable each connection is in the course of training",
            f"Seed {first.seed}; a line a component."
            + (f" The first {_MOST_LINES} of {len(first.tasks)} tasks." if len(first.tasks) > _MOST_LINES else ""),
            spec,
        )
    ]


def _pictures(name: str, one: Trained, first: RoutedReplica) -> list[Chart]:
    """Figures 5 and 6."""
    if len(first.tasks) < _MANY:
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
