"""What copies of a root whose blocks share modules (MUiR) say, one row a task, beside whatever else has that root.

The version that counts is the one that validation has chosen, as it is for the other methods (`keep`); parameters are
those of its folded form.
"""

from __future__ import annotations

import math

from munet.config.muir import MuirExperiment
from munet.joint.beginning import Beginning
from munet.joint.records import CurvePoint
from munet.joint.workdir import Workdir
from munet.methods.muir import folding
from munet.methods.muir.adapters import num_private
from munet.methods.muir.result import MUIR, MuirReplica, MuirResult
from munet.store import codec
from munet.suites.rows import Row, of_qualities, of_task
from munet.suites.training_rows import num_devices, of_training, spent
from munet.vit.architecture import path_names


def rows_of(workdir: str, method: str, title: str) -> list[Row] | None:
    """The rows of a training of images, of every seed; None if it is not complete.

    Raises:
      UserError: it is damaged.
    """
    place = Workdir(workdir, MUIR)
    result, beginning = place.result(), place.beginning()
    if not isinstance(result, MuirResult) or beginning is None:
        return None
    experiment = codec.from_json(MuirExperiment, beginning.experiment, f"The settings in {place.location(MUIR.start)}")
    points = place.curve()
    rows = []
    for index, replica in enumerate(result.replicas):
        own = {point.step: point for point in points if point.replica == index}
        rows += _rows_of(experiment, beginning, result, replica, own, method, title)
    return rows


def _rows_of(
    experiment: MuirExperiment,
    beginning: Beginning,
    result: MuirResult,
    replica: MuirReplica,
    points: dict[int, CurvePoint],
    method: str,
    title: str,
) -> list[Row]:
    """Of one seed."""
    is_best = experiment.keep != "last"
    point = points[replica.best_round if is_best else result.num_rounds]
    batches = {
        info.name: min(size, info.num_train)
        for info, size in zip(beginning.tasks, _batch_sizes(experiment), strict=True)
    }
    seconds = result.seconds * num_devices(beginning) / len(result.replicas)
    sizes = _sizes(experiment, result, replica.best_mapping if is_best else replica.mapping)
    total = round(math.fsum(accounted for _, accounted in sizes.values()))
    shared = of_training(
        beginning, experiment, "muir", seconds=seconds, image_steps=result.example_steps, total_params=total
    )
    rows = []
    for index, info in enumerate(beginning.tasks):
        task = replica.tasks[info.name]
        test = task.best_test if is_best else task.test
        if test is None:
            raise ValueError(f"{info.name!r} has no accuracy")
        params, accounted = sizes[info.name]
        rows.append(
            Row(
                method=method,
                title=title,
                seed=replica.seed,
                **of_task(info, index),
                **of_qualities(point.validation[info.name], test),
                model=index + 1,
                num_layers=len(path_names(experiment.num_blocks)),
                params=params,
                accounted_params=accounted,
                flops=task.flops,
                **spent(info.name, batches, result.num_rounds, seconds),
                **shared,
            )
        )
    return rows


def _batch_sizes(experiment: MuirExperiment) -> tuple[int, ...]:
    return experiment.batch_sizes or (experiment.batch_size,) * len(experiment.tasks)


def _sizes(experiment: MuirExperiment, result: MuirResult, mapping: tuple[int, ...]) -> dict[str, tuple[int, float]]:
    """Parameters of every task's model, and the same with shared ones divided; what is not generated included."""
    names = list(result.replicas[0].tasks)
    block = (experiment.block_rows, experiment.block_columns)
    task_of: list[int] = []
    generated = dict.fromkeys(names, 0)
    for leaf in result.leaves:
        task_of += [names.index(leaf.task)] * leaf.num_blocks(block)
        generated[leaf.task] += leaf.count * leaf.rows * leaf.columns
    found = folding.task_sizes(mapping, task_of, experiment.context, block, len(names), private=num_private(experiment))
    sizes = {}
    for name, size in zip(names, found, strict=True):
        own = int(str(result.replicas[0].tasks[name].extras["plain_params"])) - generated[name]
        sizes[name] = own + size.params, own + size.accounted
    return sizes
