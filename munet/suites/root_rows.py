"""What a routed root says, one row a task, beside whatever else was fine-tuned from that root."""

from __future__ import annotations

from munet import kinds
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix.result import RoutedReplica
from munet.store import codec
from munet.suites.rows import Row, hash_of_joint, of_qualities, of_task
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
    devices = int(str(beginning.layout.get("num_devices", 1)))
    batches = {info.name: min(experiment.batch_size, info.num_train) for info in beginning.tasks}
    seconds = result.seconds * devices / len(result.replicas)
    used = {identity for task in replica.tasks.values() for identity in task.components.values()}
    total = sum(result.published[identity].num_params for identity in used)
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
                quality_metric="accuracy",
                **of_qualities(task.validation, task.test),
                model=index + 1,
                num_layers=len(task.components),
                params=task.params,
                accounted_params=task.accounted_params,
                flops=task.flops,
                image_steps=result.num_rounds * batches[info.name],
                num_children=0,
                num_kept=0,
                device_seconds=seconds * batches[info.name] / sum(batches.values()),
                total_params=total,
                params_per_task=total / len(beginning.tasks),
                run_image_steps=result.image_steps,
                run_device_seconds=seconds,
                baseline="",
                scale_factor=1.0,
                auto_tune=False,
                insert_adapters=False,
                variant=experiment.variant,
                num_blocks=experiment.num_blocks,
                root_name=str(beginning.root.get("name", "")),
                root_sha256=str(beginning.root.get("sha256", "")),
                experiment_sha256=hash_of_joint(codec.to_json(experiment)),
                device=str(beginning.layout.get("device_kind", "")),
                num_devices=devices,
                munet_version=str(beginning.versions.get("munet", "")),
                jax_version=str(beginning.versions.get("jax", "")),
                kind="routing",
            )
        )
    return rows
