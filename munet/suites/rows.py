"""What a finished run says, one row a task: the columns of results.parquet (docs/suite_results.md)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from munet import kinds
from munet.config import without_places
from munet.data import notation
from munet.data.loader import effective_batch_size
from munet.store import codec
from munet.system import joint, view
from munet.system.joint_record import JointRecord
from munet.system.view import RunView
from munet.types import GenerationEntry, Quality, TaskInfo, TaskName

TIMES = ("device_seconds", "run_device_seconds")  # columns that differ between equal runs


@dataclass(frozen=True)
class Row:
    """One task of one run. Counts are exact; qualities and accuracies are in [0, 1]."""

    method: str  # its name in the suite
    title: str  # what people read
    seed: int
    task: TaskName
    task_index: int  # place in the run's order, from 0
    uri: str
    split: str  # train, validation and test split in words
    fingerprint: str  # SHA-256 of the data's identity and split
    num_classes: int
    num_train: int
    num_validation: int  # in the split; `validation_counted` of them decide
    num_test: int
    quality_metric: str  # "accuracy" or "balanced_accuracy": what the qualities are, and what decided
    validation_quality: float
    validation_correct: int
    validation_counted: int
    validation_accuracy: float  # plain, whatever the metric
    test_quality: float
    test_correct: int
    test_counted: int
    test_accuracy: float
    model: int  # id of the retained model
    num_layers: int  # components on its path
    params: int  # on its path, shared or not
    accounted_params: float  # Eq. 3
    flops: int  # of a forward pass on one image
    image_steps: int  # training images that all children of the task saw
    num_children: int  # trained for the task
    num_kept: int  # of them, better than their parent
    device_seconds: float  # of training them: wall time x devices
    total_params: int  # of the run: unique parameters in use
    params_per_task: float  # of the run
    run_image_steps: int
    run_device_seconds: float
    baseline: str  # "" for muNet
    scale_factor: float
    auto_tune: bool
    insert_adapters: bool
    variant: str  # the root's architecture
    num_blocks: int
    root_name: str  # file name of the checkpoint
    root_sha256: str
    experiment_sha256: str  # of all settings that decide the result, without seed and places of files
    device: str
    num_devices: int
    munet_version: str
    jax_version: str
    kind: str = "evolve"  # or "train", "routing": a joint training, to which some columns do not apply


def rows_of(workdir: str, method: str, title: str) -> list[Row] | None:
    """The rows of a run, of every seed that it trained; None if it is not complete.

    Raises:
      UserError: there is no run, or it is damaged.
    """
    if (kind := kinds.found(workdir)) is not None and kind.rows is not None:
        found: list[Row] | None = kind.rows()(workdir, method, title)
        return found
    opened = view.open(workdir)
    if not opened.is_complete:
        return None
    replicas = opened.joint.replicas if opened.joint else 1
    systems = [opened, *(joint.open_joint(workdir, replica) for replica in range(1, replicas))]
    return [row for system in systems for row in _rows_of(system, method, title)]


def _rows_of(opened: RunView, method: str, title: str) -> list[Row]:
    """Of one seed."""
    spent = _spent(opened) if opened.joint is None else _spent_jointly(opened, opened.joint)
    devices = _int(opened.start.layout.get("num_devices"), 1)
    steps_of_all = sum(item.image_steps for item in spent.values())
    run_image_steps = steps_of_all if opened.joint else opened.run_state.image_steps  # which forgotten tasks are in
    run_seconds = sum(item.seconds for item in spent.values()) * devices
    experiment, checkpoint = opened.experiment, opened.start.root_checkpoint
    result = []
    for index, info in enumerate(opened.tasks):
        model, cost = opened.model(info.name), spent[info.name]
        if model.quality is None or model.test_quality is None:
            raise RuntimeError(f"{opened.workdir}: the complete run has no test quality of {info.name!r}")
        result.append(
            Row(
                method=method,
                title=title,
                seed=opened.joint.seed if opened.joint else experiment.seed,
                **of_task(info, index),
                quality_metric=experiment.quality_metric,
                **of_qualities(model.quality, model.test_quality),
                model=model.id,
                num_layers=len(model.components),
                params=opened.params(info.name),
                accounted_params=opened.accounted_params(info.name),
                flops=opened.flops(info.name),
                image_steps=cost.image_steps,
                num_children=cost.children,
                num_kept=cost.kept,
                device_seconds=cost.seconds * devices,
                total_params=opened.total_params,
                params_per_task=opened.params_per_task,
                run_image_steps=run_image_steps,
                run_device_seconds=run_seconds,
                baseline="" if opened.joint else experiment.baseline.kind,
                scale_factor=experiment.scale_factor,
                auto_tune=experiment.auto_tune,
                insert_adapters=experiment.insert_adapters,
                variant=experiment.variant,
                num_blocks=experiment.num_blocks,
                root_name=str(checkpoint.get("name", "")),
                root_sha256=str(checkpoint.get("sha256", "")),
                experiment_sha256=_experiment_hash(opened),
                device=str(opened.start.layout.get("device_kind", "")),
                num_devices=devices,
                munet_version=opened.start.versions.get("munet", ""),
                jax_version=opened.start.versions.get("jax", ""),
                kind="train" if opened.joint else "evolve",
            )
        )
    return result


def of_task(info: TaskInfo, index: int) -> dict[str, Any]:
    """The columns of a row that describe its task, which has a place in the run's order."""
    return {
        "task": info.name,
        "task_index": index,
        "uri": info.uri,
        "split": notation.describe_split(info.uri),
        "fingerprint": info.fingerprint,
        "num_classes": info.num_classes,
        "num_train": info.num_train,
        "num_validation": info.num_validation,
        "num_test": info.num_test,
    }


def of_qualities(validation: Quality, test: Quality) -> dict[str, Any]:
    """The columns that tell how good a model is."""
    return {
        f"{split}_{column}": value
        for split, quality in (("validation", validation), ("test", test))
        for column, value in (
            ("quality", quality.value),
            ("correct", quality.correct),
            ("counted", quality.counted),
            ("accuracy", quality.accuracy),
        )
    }


@dataclass
class _Spent:
    """What the children of a task took, all generations together."""

    image_steps: int = 0
    children: int = 0
    kept: int = 0
    seconds: float = 0.0


def _spent(opened: RunView) -> dict[TaskName, _Spent]:
    spent: dict[TaskName, _Spent] = defaultdict(_Spent)
    for entry in opened.store.journal.entries():
        if isinstance(entry, GenerationEntry):
            total = spent[entry.task]
            for child in entry.children:
                total.image_steps += child.cost.image_steps
                total.seconds += child.cost.seconds
                total.children += child.plan.trains
                total.kept += child.plan.trains and child.verdict.is_kept
    return spent


def _spent_jointly(opened: RunView, record: JointRecord) -> dict[TaskName, _Spent]:
    """A batch of every task a round; the time is divided by replicas and images."""
    batches = {info.name: effective_batch_size(info.num_train, opened.experiment) for info in opened.tasks}
    seconds = record.seconds / record.replicas / sum(batches.values())
    return {name: _Spent(record.num_rounds * size, seconds=seconds * size) for name, size in batches.items()}


def _experiment_hash(opened: RunView) -> str:
    if opened.joint is not None:
        return hash_of_joint(opened.joint.settings)
    settings = without_places(opened.start.experiment) | {"seed": 0}
    return hashlib.sha256(codec.canonical(settings)).hexdigest()


def hash_of_joint(settings: Mapping[str, object]) -> str:
    """Of the settings that decide the result of a joint training, without seeds and places of files."""
    own = {name: value for name, value in settings.items() if name not in ("tasks", "root")}
    return hashlib.sha256(codec.canonical(own | {"seed": 0, "replicas": 1})).hexdigest()


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
