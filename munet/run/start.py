"""What a run starts from: the journal's first entry, and the check that a resumed run is still the same experiment."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from munet import config, roots
from munet.config import Experiment
from munet.data.uris import parse_uri, relative_path
from munet.errors import CheckpointError, WorkdirError
from munet.evolution.search_space import default_hyperparameters
from munet.roots import Checkpoint
from munet.roots.random_root import named
from munet.store.components import ComponentStore, component_id
from munet.store.journal import FORMAT_VERSION
from munet.system.data import data_difference
from munet.text import package_version
from munet.training.assemble import FlatArrays, resized_position
from munet.types import ROOT_MODEL, ComponentId, ComponentName, ComponentRecord, Leaf, ModelRecord, StartEntry, TaskInfo
from munet.vit import architecture

_PACKAGES = ("munet", "jax", "jaxlib", "flax", "optax", "numpy", "safetensors")


class RootComponents:
    """The root's components, read and checked, but not yet written anywhere.

    Where the checkpoint's position embedding is for another image size than the default one, it is published too, as
    it is: embeddings of all sizes, the root model's own included, are resized from it.

    Attributes:
      checkpoint: the file's name and hash, for the journal.
      notes: what a person should know of it.
      ids: the root model's components by name.
      published: records of all, the checkpoint's own position embedding included.

    Raises:
      CheckpointError: it cannot be had, or is not a root of the configured architecture.
    """

    def __init__(self, experiment: Experiment, cache_dir: str = ""):
        found = roots.find(named(experiment), cache_dir)
        variant = architecture.get_variant(experiment.variant)
        if problem := _misfit(experiment, found):
            raise CheckpointError(problem)
        arrays = found.load(experiment.num_blocks)
        self.checkpoint: dict[str, object] = {"name": found.name, "sha256": found.sha256, "variant": variant.name}
        self.notes = found.facts.notes
        self._arrays: dict[ComponentId, FlatArrays] = {}
        self.ids: dict[ComponentName, ComponentId] = {}
        self.published: dict[ComponentId, ComponentRecord] = {}
        for name in architecture.path_names(experiment.num_blocks, found.facts.adapters):
            if name in arrays:
                self.ids[name] = self._add(_root_record(name, arrays[name]), arrays[name])
        own = arrays[architecture.POSITION]
        resized = resized_position(own, experiment.defaults.image_size, variant)
        if any(resized[path].shape != own[path].shape for path in own):
            leaves = _leaves(resized)
            record = ComponentRecord(architecture.POSITION, leaves, "root-resized", self.ids[architecture.POSITION])
            self.ids[architecture.POSITION] = self._add(record, resized)

    @property
    def arrays(self) -> dict[ComponentName, FlatArrays]:
        """The arrays of the root model's components by name and path."""
        return {name: self._arrays[identity] for name, identity in self.ids.items()}

    def put(self, store: ComponentStore) -> None:
        """Publishes the root's components in a run's store."""
        for identity, record in self.published.items():
            store.put(record, self._arrays[identity])

    def _add(self, record: ComponentRecord, arrays: FlatArrays) -> ComponentId:
        identity = component_id(record, arrays)
        self.published[identity], self._arrays[identity] = record, arrays
        return identity


def _misfit(experiment: Experiment, found: Checkpoint) -> str:
    """What to set where the architecture in the settings is not the root's; "" if it is."""
    name, blocks = found.variant.name, found.num_blocks
    if name == experiment.variant and experiment.num_blocks <= blocks:
        return _adapter_misfit(experiment, found)
    use = min(experiment.num_blocks, blocks)
    return (
        f"The root {found.reference} is a {name} with {blocks} blocks, the settings say experiment.variant = "
        f"{experiment.variant!r} and experiment.num_blocks = {experiment.num_blocks}. Set --config.variant={name} "
        f"--config.num_blocks={use}" + (f" (at most {blocks})." if use < blocks else ".")
    )


def _adapter_misfit(experiment: Experiment, found: Checkpoint) -> str:
    """What to set where the root has adapters of another width than the run's, which would replace them; "" if not."""
    width, given = found.facts.adapter_dim, {}
    if not found.facts.adapters:
        return ""
    if experiment.defaults.adapter_dim != width:
        given["defaults.adapter_dim"] = str(experiment.defaults.adapter_dim)
    if tuple(experiment.search_space.adapter_dim) != (width,):
        given["search_space.adapter_dim"] = ",".join(map(str, experiment.search_space.adapter_dim))
    if experiment.baseline.kind.endswith("adapters") and experiment.baseline.adapter_dim != width:
        given["baseline.adapter_dim"] = str(experiment.baseline.adapter_dim)
    if not given:
        return ""
    return (
        f"The root {found.reference} has residual adapters of width {width}, which all adapters of a run must share; "
        f"the settings say {', '.join(f'experiment.{name} = {value}' for name, value in given.items())}. Set "
        f"{' '.join(f'--config.{name}={width}' for name in given)}."
    )


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
        versions=versions(),
        layout=layout,
        folder=str(Path.cwd()) if any(relative_path(task.uri) for task in tasks) else "",
    )


def check_same(found: StartEntry, wanted: StartEntry, workdir: str) -> None:
    """Refuses to go on with another experiment, other data, or another root.

    Data and root are what they hold, not where they are: moved files of the same content are the same.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    _refuse(all_differences(found, wanted), workdir)


def check_same_settings(found: StartEntry, experiment: Experiment, workdir: str) -> None:
    """Refuses to go on with other settings or tasks of other names; data and root are left to who opens them.

    Raises:
      WorkdirError: what differs, every field with both values.
    """
    old, new = config.without_places(found.experiment), config.without_places(config.to_json(experiment))
    names = [parse_uri(uri).name for uri in experiment.tasks]
    _refuse([*config.differences(old, new), *_name_differences([task.name for task in found.tasks], names)], workdir)


def _refuse(changes: Sequence[str], workdir: str) -> None:
    if changes:
        listed = "".join(f"\n  - {change}" for change in changes)
        raise WorkdirError(
            f"{workdir} holds a run of another experiment. What differs (there -> here):{listed}\n"
            "Give another --workdir for the new experiment, or the old settings to go on with the old one."
        )


def all_differences(found: StartEntry, wanted: StartEntry) -> list[str]:
    """In what two runs differ that decides their results: settings, root, data."""
    return [
        *config.differences(config.without_places(found.experiment), config.without_places(wanted.experiment)),
        *root_differences(found.root_checkpoint, wanted.root_checkpoint),
        *task_differences(found.tasks, wanted.tasks),
    ]


def root_differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """In what two roots differ: what their files hold, not where they are."""
    if old.get("sha256") == new.get("sha256"):
        return []
    hashes = f"SHA-256 {str(old.get('sha256'))[:12]} -> {str(new.get('sha256'))[:12]}"
    if old.get("name") == new.get("name"):
        return [f"the root's file {new.get('name')} holds other bytes than the one the run began with: {hashes}"]
    return [f"the root's file: {old.get('name')} -> {new.get('name')}, {hashes}"]


def task_differences(old: Sequence[TaskInfo], new: Sequence[TaskInfo]) -> list[str]:
    """In what two lists of tasks differ; data are what they hold, not where they are."""
    if names := _name_differences([task.name for task in old], [task.name for task in new]):
        return names
    return [
        f"the data of {before.name!r}: {difference}"
        for before, after in zip(old, new, strict=True)
        if (difference := data_difference(before, after))
    ]


def _name_differences(old: Sequence[str], new: Sequence[str]) -> list[str]:
    return [f"tasks: {', '.join(old)} -> {', '.join(new)}"] if old != new else []


class Environment(Protocol):
    """What keeps the devices and the software that it began with."""

    @property
    def layout(self) -> Mapping[str, object]:
        """As `DeviceLayout.describe` gives it."""

    @property
    def versions(self) -> Mapping[str, object]:
        """Of packages, by name."""


class Surroundings(NamedTuple):
    """The devices and the software of this start; see `Environment`."""

    layout: Mapping[str, object]
    versions: Mapping[str, object]


def notes_on_layout(found: Environment, wanted: Environment) -> list[str]:
    """What to tell a user who goes on with other devices or software: allowed, but no longer bit for bit the same."""
    layout = {name: value for name, value in wanted.layout.items() if name in found.layout}  # older ones say less
    changes = [
        *config.differences(dict(found.layout), layout),
        *config.differences(dict(found.versions), dict(wanted.versions)),
    ]
    if not changes:
        return []
    return [f"Going on with another layout; results will not be bit for bit those of the first: {'; '.join(changes)}"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter for a result."""
    return {"python": platform.python_version()} | {name: package_version(name) for name in _PACKAGES}


def _root_record(name: ComponentName, arrays: FlatArrays) -> ComponentRecord:
    return ComponentRecord(name, _leaves(arrays), "root")


def _leaves(arrays: FlatArrays) -> dict[str, Leaf]:
    """Shapes and dtypes of a component's arrays by path, as its record holds them."""
    return {path: Leaf(arrays[path].shape, str(arrays[path].dtype)) for path in sorted(arrays)}
