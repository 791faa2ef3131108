"""What a run starts from: the journal's first entry, and the check that a resumed run is still the same experiment."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from munet import architecture, config
from munet.config import Experiment
from munet.errors import WorkdirError
from munet.evolution.search_space import default_hyperparameters
from munet.models.checkpoints import demo_root_path, load_augreg
from munet.store.components import ComponentStore, component_id
from munet.store.journal import FORMAT_VERSION
from munet.types import ROOT_MODEL, ComponentName, ComponentRecord, Leaf, ModelRecord, StartEntry, TaskInfo

_PACKAGES = ("munet", "jax", "jaxlib", "flax", "optax", "numpy", "safetensors")


def root_path(experiment: Experiment) -> Path:
    """The file of the root checkpoint: the demo's own for `demo`."""
    return demo_root_path() if experiment.root == "demo" else Path(experiment.root).expanduser()


class RootComponents:
    """The root's components, read and checked, but not yet written anywhere.

    Raises:
      CheckpointError: the file is not a root of the configured architecture.
    """

    def __init__(self, experiment: Experiment):
        path = root_path(experiment)
        variant = architecture.get_variant(experiment.variant)
        self._arrays = load_augreg(path, variant, experiment.num_blocks, experiment.defaults.image_size)
        self.checkpoint: dict[str, object] = {
            "name": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "variant": variant.name,
        }
        names = [name for name in architecture.path_names(experiment.num_blocks) if name in self._arrays]
        self._records = {name: _root_record(name, self._arrays[name]) for name in names}
        self.ids = {name: component_id(record, self._arrays[name]) for name, record in self._records.items()}
        self.published = {self.ids[name]: record for name, record in self._records.items()}

    def put(self, store: ComponentStore) -> None:
        """Publishes them."""
        for name, record in self._records.items():
            store.put(record, self._arrays[name])


def start_entry(
    experiment: Experiment, tasks: Sequence[TaskInfo], root: RootComponents, layout: Mapping[str, object]
) -> StartEntry:
    """The journal's first entry."""
    return StartEntry(
        format_version=FORMAT_VERSION,
        experiment=config.to_json(experiment),
        tasks=tuple(tasks),
        root=ModelRecord(ROOT_MODEL, None, None, default_hyperparameters(experiment), root.ids),
        published=root.published,
        root_checkpoint=root.checkpoint,
        preprocessing={"value_range": [-1, 1], "resize": "bilinear", "antialias": experiment.antialias},
        versions={"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        layout=layout,
    )


def check_same(found: StartEntry, wanted: StartEntry, workdir: str) -> None:
    """Refuses to go on with another experiment, other data, or another root.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    changes = config.differences(dict(found.experiment), dict(wanted.experiment))
    old_tasks = {task.name: task for task in found.tasks}
    changes += [
        f"the data of {task.name!r}: {old_tasks[task.name].fingerprint[:12]} -> {task.fingerprint[:12]}"
        for task in wanted.tasks
        if task.name in old_tasks and old_tasks[task.name] != task
    ]
    if found.root_checkpoint.get("sha256") != wanted.root_checkpoint.get("sha256"):
        changes.append(f"the root's file: {found.root_checkpoint.get('name')} holds other bytes than it did")
    if changes:
        listed = "".join(f"\n  - {change}" for change in changes)
        raise WorkdirError(
            f"{workdir} holds a run of another experiment. What differs (there -> here):{listed}\n"
            "Give another --workdir for the new experiment, or the old settings to go on with the old one."
        )


def notes_on_layout(found: StartEntry, wanted: StartEntry) -> list[str]:
    """What to tell a user who goes on with other devices or software: allowed, but no longer bit for bit the same."""
    changes = [
        *config.differences(dict(found.layout), dict(wanted.layout)),
        *config.differences(dict(found.versions), dict(wanted.versions)),
    ]
    if not changes:
        return []
    return [f"Going on with another layout; results will not be bit for bit those of the first: {'; '.join(changes)}"]


def _root_record(name: ComponentName, arrays: Mapping[str, np.ndarray]) -> ComponentRecord:
    leaves = {path: Leaf(arrays[path].shape, str(arrays[path].dtype)) for path in sorted(arrays)}
    return ComponentRecord(name, leaves, "root")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
