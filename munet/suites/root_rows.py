"""What a routed root says, one row a task, beside whatever else was fine-tuned from that root."""

from __future__ import annotations

from munet import kinds
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import RoutedReplica
from munet.suites.rows import Row, of_qualities, of_task
from munet.suites.training_rows import num_devices, of_training, spent
from munet.system.routed import RoutedView, open_routed


def rows_of(workdir: str, method: str, title: str) -> list[Row] | None:
    """The rows of a routed training of images, of every seed; None if it is not complete.

    Raises:
      UserError: it is damaged.
    """
    if Workdir(workdir, kinds.named("routing")).result() is None:
        return None
    opened = open_routed(workdir)
    return [row for replica in opened.result.replicas for row in _rows_of(opened, replica, method, title)]


def _rows_of(opened: RoutedView, replica: RoutedReplica, method: str, title: str) -> list[Row]:
    experiment, beginning, result = opened.experiment, opened.beginning, opened.result
    batches = {info.name: min(experiment.batch_size, info.num_train) for info in beginning.tasks}
    seconds = result.seconds * num_devices(beginning) / len(result.replicas)
    used = {identity for task in replica.tasks.values() for identity in task.components.values()}
    total = sum(result.published[identity].num_params for identity in used)
    shared = of_training(
        beginning, experiment, "routing", seconds=seconds, image_steps=result.image_steps, total_params=total
    )
    rows = []
    for index, info in enumerate(beginning.tasks):
        task = replica.tasks[info.name]
        if task.validation is None or task.test is None:
            raise ValueError(f"{opened.place.path}: {info.name!r} has no accuracy")
        rows.append(
            Row(
                method=method,
                title=title,
                seed=replica.seed,
                **of_task(info, index),
                **of_qualities(task.validation, task.test),
                model=index + 1,
                num_layers=len(task.components),
                params=task.params,
                accounted_params=task.accounted_params,
                flops=task.flops,
                **spent(info.name, batches, result.num_rounds, seconds),
                **shared,
            )
        )
    return rows
