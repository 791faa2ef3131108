"""The data of a run, opened again after it, to measure its models: the very data that it used, or none."""

from __future__ import annotations

from dataclasses import replace

from munet.config import Runtime
from munet.data.open_settings import NO_ARRAYS, Arrays, OpenSettings
from munet.data.tasks import Task, open_task
from munet.data.uris import from_folder
from munet.errors import UserError
from munet.system.view import RunView
from munet.training.batches.resident import max_resident
from munet.training.placement.devices import DeviceLayout
from munet.types import TaskInfo, TaskName


def open_again(
    system: RunView, task: TaskName, data_dir: str = "", cache_dir: str = "", arrays: Arrays = NO_ARRAYS
) -> Task:
    """A task of a run. Relative paths go from the current folder, else from the one in which the run was started.

    Args:
      system: the run.
      task: one of its tasks.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": none.
      arrays: the `memory:` tasks, by name.

    Raises:
      UserError: the data cannot be read, or is not what the run used.
    """
    info, experiment, runtime = system.task(task), system.experiment, Runtime()
    # The run decided how many unreadable files it accepts; here the fingerprint tells whether the data is the same.
    settings = OpenSettings(
        data_dir,
        cache_dir,
        experiment.seed,
        max(experiment.search_space.image_size),
        max_bad_images=1.0,
        max_resident=max_resident(runtime, DeviceLayout.detect(runtime)),
        arrays=arrays,
    )
    return open_same(system.start.folder, info, settings)


def open_same(folder: str, info: TaskInfo, settings: OpenSettings) -> Task:
    """The task that a run knows as `info`, wherever its data is by now.

    Args:
      folder: in which the run was started; "": its tasks have no relative paths.
      info: what the run knows.
      settings: of opening.

    Raises:
      UserError: the data cannot be read, or is not what the run used.
    """
    data = open_task(from_folder(info.uri, folder), settings)
    if replace(data.info, uri=info.uri) != info:
        raise UserError(
            f"{info.uri} is not the data that the run used (then -> now): "
            f"{data_difference(info, data.info) or 'stored otherwise'}."
        )
    return data


def data_difference(old: TaskInfo, new: TaskInfo) -> str:
    """In what the data of a task differ, the most telling first; "" where they are the same, wherever they lie."""
    examples = {"": "images", "value": "examples", "next_token": "symbols"}[old.objective]
    classes = ("symbol", "symbols") if old.objective == "next_token" else ("class", "classes")
    sizes = [f"{task.num_train:,} / {task.num_validation:,} / {task.num_test:,}" for task in (old, new)]
    if sizes[0] != sizes[1]:
        return f"{sizes[0]} -> {sizes[1]} train / validation / test {examples}"
    if old.num_classes != new.num_classes:
        return f"{old.num_classes:,} -> {new.num_classes:,} {classes[1]}"
    if old.class_names != new.class_names:
        pairs = zip(old.class_names, new.class_names, strict=True)
        before, after = next(pair for pair in pairs if pair[0] != pair[1])
        return f"{classes[0]} {before!r} -> {after!r}"
    if old.fingerprint != new.fingerprint:
        prints = f"{old.fingerprint[:12]} -> {new.fingerprint[:12]}"
        return f"as many {examples}, but others, or split otherwise: fingerprint {prints}"
    return ""
