"""`munet status`: where a run stands and what its system is, for people and (`--json`, docs/status.md) for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from rich.table import Table

from munet.config import Experiment
from munet.data import notation
from munet.errors import UserError
from munet.evolution import costs
from munet.quality import metric_words
from munet.report import classes, confusion_svg
from munet.system import view
from munet.system.view import JointRecord, RunView
from munet.text import count, plain_console
from munet.types import ModelId, Quality, TaskName

MOST_TASKS = 1000  # of which is listed who shares with whom and descends from whom: lists as long as there are tasks
_MOST_ANCESTORS = 8  # in a row of the table


def status_json(system: RunView, task: TaskName = "") -> dict[str, Any]:
    """The status as JSON values; keys are only ever added (docs/status.md).

    Args:
      system: of `munet.open`.
      task: the only one to list under `tasks`; "": all.

    Raises:
      UserError: there is no such task, or no model of it yet.
    """
    position = system.position
    if task:
        system.model(task)
    names = [task] if task else list(system.models)
    lists = len(names) <= MOST_TASKS
    return {
        "format": "munet-status",
        "version": 1,
        "kind": "train" if system.joint else "evolve",
        "workdir": system.workdir,
        "complete": system.is_complete,
        "generations": system.run_state.generations,
        "num_generations": system.num_generations,
        "position": {
            "task_iteration": position.task_iteration,
            "task_index": position.task_index,
            "generation": position.generation,
        },
        "active_task": system.active_task,
        "image_steps": system.run_state.image_steps,
        "seed": system.experiment.seed,
        "scale_factor": system.experiment.scale_factor,
        "baseline": system.experiment.baseline.kind,
        "root": {
            "variant": system.experiment.variant,
            "num_blocks": system.experiment.num_blocks,
            "checkpoint": dict(system.start.root_checkpoint),
            "flops": costs.root_flops(system.experiment),
            "latency": system.root.latency,
        },
        "tasks": {name: _task_json(system, name, lists) for name in names},
        "unsolved_tasks": [info.name for info in system.tasks if info.name not in system.models],
        "total_params": system.total_params,
        "params_per_task": system.params_per_task,
        "mean_quality": _mean(model.quality for model in system.models.values()),
        "mean_test_quality": _mean(model.test_quality for model in system.models.values()),
        "quality_metric": system.experiment.quality_metric,
        "mean_accuracy": _mean_accuracy(model.quality for model in system.models.values()),
        "mean_test_accuracy": _mean_accuracy(model.test_quality for model in system.models.values()),
        "flops_factor": system.experiment.flops_factor,
        "latency_factor": system.experiment.latency_factor,
        "joint": _joint_json(system.joint),
    }


def _joint_json(joint: JointRecord | None) -> dict[str, Any] | None:
    if joint is None:
        return None
    title, rounds, num_rounds = joint.title, joint.rounds, joint.num_rounds
    return {"title": title, "rounds": rounds, "num_rounds": num_rounds, "replicas": joint.replicas}


def _task_json(system: RunView, task: TaskName, lists: bool) -> dict[str, Any]:
    model = system.model(task)
    return {
        "quality": model.quality.value if model.quality else None,
        "test_quality": model.test_quality.value if model.test_quality else None,
        "score": system.score(task),
        "params": system.params(task),
        "accounted_params": system.accounted_params(task),
        "model": model.id,
        "components": list(model.components.values()),
        "layers": list(model.components),
        "validation_counts": _counts(model.quality),
        "test_counts": _counts(model.test_quality),
        "lineage": system.lineage(task) if lists else None,
        "shared_with": system.shared_with(task) if lists else None,
        "hyperparameters": dict(model.hyperparameters),
        "accuracy": model.quality.accuracy if model.quality else None,
        "test_accuracy": model.test_quality.accuracy if model.test_quality else None,
        "classes": classes.counts_json(system, task),
        "flops": system.flops(task),
        "latency": model.latency,
        "parent": model.parent,
    }


def print_status(workdir: str, as_json: bool = False, task: str = "", confusion: str = "") -> None:
    """Prints the status of the run in `workdir` on standard output.

    Args:
      workdir: of a run, finished or not.
      as_json: as one JSON object.
      task: only this one, class by class; "": all.
      confusion: a file for the task's confusion matrix (SVG); "": none.

    Raises:
      UserError: there is no run, its journal is damaged, no such task, or the file cannot be written.
    """
    if confusion and not task:
        raise UserError(f"--confusion={confusion} draws the classes of one task: say which with --task=NAME.")
    system = view.open(workdir)
    if confusion:
        confusion_svg.write(system, task, confusion)
    if as_json:
        sys.stdout.write(json.dumps(status_json(system, task), indent=2) + "\n")
        return
    console = plain_console()
    if task:
        console.print(classes.describe(system, task), highlight=False)
        if confusion:
            console.print(f"Confusion matrix: {confusion}", highlight=False, markup=False)
        return
    if system.models:
        console.print(table(system))
    for line in summary(system):
        console.print(line, highlight=False, markup=False)


def table(system: RunView) -> Table:
    """The tasks solved so far, one a row."""
    result = Table(title=f"System in {system.workdir}", title_style="bold")
    result.add_column("task", no_wrap=True)
    *numbers, shared, lineage = headings(system)[1:]
    for name in numbers:
        result.add_column(name, justify="right")
    for name in (shared, lineage):
        result.add_column(name)
    for row in rows(system):
        result.add_row(*row)
    return result


def headings(system: RunView) -> tuple[str, ...]:
    """Of the columns of `rows`."""
    # With balanced accuracy as quality, plain accuracy stands beside it.
    plain = ("validation", "test"), ()
    balanced = ("validation\nbalanced", "test\nbalanced"), ("test\naccuracy",)
    first, second = plain if system.experiment.quality_metric == "accuracy" else balanced
    prices = ("parameters", "accounted", "MFLOPs", *(["ms an image"] if system.experiment.latency_factor < 1 else []))
    return ("task", *first, *second, "score", *prices, "shares with (components)", "model, from root")


def rows(system: RunView) -> Iterator[tuple[str, ...]]:
    """The tasks solved so far, one a row."""
    is_balanced = system.experiment.quality_metric != "accuracy"
    has_latency = system.experiment.latency_factor < 1
    lists = len(system.models) <= MOST_TASKS
    labels = {info.name: notation.label(info.uri) for info in system.tasks}
    for task, model in system.models.items():
        shared = ", ".join(f"{other} ({count})" for other, count in system.shared_with(task).items()) if lists else ""
        yield (
            labels[task],
            _percent(model.quality),
            _percent(model.test_quality),
            *([_accuracy(model.test_quality)] if is_balanced else []),
            f"{system.score(task):.4f}",
            f"{system.params(task):,}",
            f"{system.accounted_params(task):,.0f}",
            f"{system.flops(task) / 1e6:,.2f}",
            *([f"{(model.latency or 0) * 1000:.3g}"] if has_latency else []),
            shared or "-" if lists else "(--json --task)",
            _lineage(system, model.id),
        )


def _lineage(system: RunView, model: ModelId) -> str:
    """From the root to the model; of a long lineage the end."""
    ids = [ancestor.id for ancestor in islice(system.state.lineage(model), _MOST_ANCESTORS + 1)]
    shown = ["..." if len(ids) > _MOST_ANCESTORS else "root" if id == system.root.id else str(id) for id in ids[-1:]]
    return " > ".join([*shown, *map(str, reversed(ids[:-1]))])


def summary(system: RunView) -> list[str]:
    """What the table does not say, line by line."""
    experiment, position = system.experiment, system.position
    progress = f"{system.run_state.generations} of {count(system.num_generations, 'generation')}"
    if system.joint is not None:
        lines = [_joint_summary(system, system.joint)]
    elif system.is_complete:
        lines = [f"Complete: {progress}, {count(len(system.tasks), 'task')}."]
    else:
        lines = [
            f"Not complete: {progress}; task iteration {position.task_iteration + 1}, "
            f"task {position.task_index + 1} of {len(system.tasks)} ({system.active_task}) is active."
        ]
    unsolved = [info.name for info in system.tasks if info.name not in system.models]
    if unsolved:
        lines.append(f"Without a model yet: {', '.join(unsolved)}.")
    if system.models:
        means = [_mean(model.quality for model in system.models.values())]
        means.append(_mean(model.test_quality for model in system.models.values()))
        shown = [
            f"{value:.2%} {name}"
            for value, name in zip(means, ("validation", "test"), strict=True)
            if value is not None
        ]
        plain = _mean_accuracy(model.test_quality for model in system.models.values())
        if plain is not None and experiment.quality_metric != "accuracy":
            shown.append(f"{plain:.2%} test accuracy")
        lines.append(f"Mean {metric_words(experiment.quality_metric)}: {', '.join(shown)}.")
        lines.append(f"Parameters in use: {system.total_params:,}, {system.params_per_task:,.0f} a task.")
    has_kind = experiment.baseline.kind and system.joint is None
    kind = f", baseline {experiment.baseline.kind}" if has_kind else ""
    lines.append(
        f"Root {experiment.variant} with {count(experiment.num_blocks, 'block')}, "
        f"scale factor {experiment.scale_factor:g}{_beyond_size(experiment)}, "
        f"seed {experiment.seed}{kind}."
    )
    return lines


def _joint_summary(system: RunView, joint: JointRecord) -> str:
    tasks, replicas = count(len(system.tasks), "task"), f", replica 1 of {joint.replicas}" if joint.replicas > 1 else ""
    if system.is_complete:
        return f"Complete: {joint.title} of {tasks}, {count(joint.num_rounds, 'round')}{replicas}."
    of = f" of {joint.num_rounds:,}" if joint.num_rounds else ""
    return f"Not complete: {joint.title} of {tasks}, measured last after {joint.rounds:,}{of} rounds."


def _beyond_size(experiment: Experiment) -> str:
    """The score's further factors, where they are on."""
    factors = {"FLOPs": experiment.flops_factor, "latency": experiment.latency_factor}
    return "".join(f", {name} factor {factor:g}" for name, factor in factors.items() if factor < 1)


def _counts(quality: Quality | None) -> dict[str, int] | None:
    return {"correct": quality.correct, "counted": quality.counted} if quality else None


def _percent(quality: Quality | None) -> str:
    return f"{quality.value:.2%}" if quality else "-"


def _accuracy(quality: Quality | None) -> str:
    return f"{quality.accuracy:.2%}" if quality else "-"


def _mean(qualities: Iterable[Quality | None]) -> float | None:
    return _mean_of(quality.value if quality else None for quality in qualities)


def _mean_accuracy(qualities: Iterable[Quality | None]) -> float | None:
    return _mean_of(quality.accuracy if quality else None for quality in qualities)


def _mean_of(numbers: Iterable[float | None]) -> float | None:
    """The mean; None when there is none, or one is not measured yet."""
    values = list(numbers)
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
