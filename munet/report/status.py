"""`munet status`: where a run stands and what its system is, for people and (`--json`, docs/status.md) for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from rich.text import Text

from munet import intervals, kinds
from munet.errors import UserError
from munet.evolution import costs
from munet.report import classes, confusion_file, times
from munet.report.comparison import compared, comparison
from munet.report.overview import MOST_TASKS, mean, mean_accuracy, mean_interval, overview
from munet.report.unfinished import seconds_left, unfinished
from munet.system import view
from munet.system.joint_record import JointRecord
from munet.system.view import RunView
from munet.text import plain_console
from munet.types import Quality, TaskName

_WIDEST = 100_000  # letters of a line


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
        "mean_quality": mean(model.quality for model in system.models.values()),
        "mean_test_quality": mean(model.test_quality for model in system.models.values()),
        "quality_metric": system.experiment.quality_metric,
        "mean_accuracy": mean_accuracy(model.quality for model in system.models.values()),
        "mean_test_accuracy": mean_accuracy(model.test_quality for model in system.models.values()),
        "flops_factor": system.experiment.flops_factor,
        "latency_factor": system.experiment.latency_factor,
        "mean_test_interval": _interval(mean_interval([model.test_quality for model in system.models.values()])),
        "unfinished": _unfinished_json(system),
        "seconds_left": seconds_left(system),
        "joint": _joint_json(system.joint),
        "forgotten_tasks": list(system.forgotten),
        "trainable_params": system.trainable_params,
        "time": _time_json(system),
    }


def _time_json(system: RunView) -> dict[str, Any] | None:
    found = times.times(system)
    return asdict(found) | {"total": found.total} if found else None


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
        "test_interval": _interval(intervals.of_quality(model.test_quality) if model.test_quality else None),
        "trainable_params": system.trainable_params_of(task),
    }


def _unfinished_json(system: RunView) -> dict[str, Any] | None:
    """The active task, where it has no model yet."""
    found = unfinished(system)
    if found is None:
        return None
    return {
        "task": found.task,
        "quality": found.best.quality.value if found.best and found.best.quality else None,
        "model": found.best.id if found.best else None,
        "generation": found.generations,
        "num_generations": found.num_generations,
    }


def print_status(
    workdir: str,
    as_json: bool = False,
    task: str = "",
    confusion: str = "",
    *,
    wide: bool = False,
    compare: bool = False,
) -> None:
    """Prints the status of the run in `workdir` on standard output.

    Args:
      workdir: of a run, finished or not.
      as_json: as one JSON object.
      task: only this one, class by class; "": all.
      confusion: a file for the task's confusion matrix (.svg or .png); "": none.
      wide: every column and every task, however wide that is.
      compare: beside the baselines that the run was compared with, in their place.

    Raises:
      UserError: there is no run, its journal is damaged, no such task, there is nothing to compare with, or the file
        cannot be written.
    """
    kind = kinds.found(workdir)
    if kind is not None and kind.print_status is not None:
        given = {"--task": bool(task), "--confusion": bool(confusion), "--wide": wide, "--compare": compare}
        options = tuple(name for name, is_given in given.items() if is_given)
        kind.print_status()(workdir, as_json=as_json, options=options)
        return
    if compare and (as_json or task):
        raise UserError("--compare is a table of all tasks, for people: leave --task and --json out.")
    if confusion and not task:
        raise UserError(f"--confusion={confusion} draws the classes of one task: say which with --task=NAME.")
    system = view.open(workdir)
    if confusion:
        confusion_file.write(system, task, confusion)
    if as_json:
        sys.stdout.write(json.dumps(status_json(system, task), indent=2) + "\n")
        return
    if compare:
        plain_console().print(comparison(compared(workdir)).rich(), highlight=False)
        return
    console = plain_console()
    parts = list(classes.describe(system, task)) if task else list(overview(system, wide))
    if not task and (spent := times.times(system)):
        parts.append(Text(spent.describe()))
    for part in parts:
        if wide:  # a terminal that is narrower breaks the lines, and nothing is cut
            room = console.options.update(width=_WIDEST)
            console.width = max(console.width, console.measure(part, options=room).maximum)
        console.print(part, highlight=False)
    if confusion:
        console.print(f"Confusion matrix: {confusion}", highlight=False, markup=False)


def _interval(interval: intervals.Interval | None) -> list[float] | None:
    return list(interval) if interval else None


def _counts(quality: Quality | None) -> dict[str, int] | None:
    return {"correct": quality.correct, "counted": quality.counted} if quality else None
