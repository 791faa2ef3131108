"""An earlier system of ours as root: `munet:runs/demo?task=digits` is that task's retained model without its head.

`munet:runs/joint?trunk` is what all tasks of a joint training share: a root that has learnt from all of them.

Low-rank updates are folded into the weights that they update. Residual adapters belong to the root's blocks: whoever
begins with it has them, and may go on training copies of them as of any layer of the root.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from munet.errors import CheckpointError, UserError
from munet.paths import expanded
from munet.roots.checkpoint import Checkpoint
from munet.system import view
from munet.system.view import RunView
from munet.types import ComponentName, ModelRecord
from munet.vit import architecture
from munet.vit.architecture import HEAD, POSITION, is_adapter, is_block
from munet.vit.augreg import Components
from munet.vit.headers import Facts
from munet.vit.init import FlatArrays, merge_lora, resize_position_embedding

SCHEME = "munet:"


def open_system(reference: str) -> Checkpoint:
    """The model that `munet:WORKDIR?task=TASK` names, or the shared layers of a joint training: `munet:WORKDIR?trunk`.

    Raises:
      CheckpointError: no or an unknown task, or one without a model; a trunk of what has none, or is not complete.
      WorkdirError: there is no run.
      CorruptionError: the run is damaged.
    """
    workdir, _, option = reference.removeprefix(SCHEME).partition("?")
    if not workdir:
        raise CheckpointError(f"{reference!r}: a run's directory is missing, e.g. {SCHEME}runs/demo?task=digits.")
    opened = view.open(str(expanded(workdir)) if "://" not in workdir else workdir)
    if option == "trunk":
        return _trunk(reference, opened)
    name, _, task = option.partition("=")
    if name != "task" or not task:
        if not opened.models:
            raise CheckpointError(f"{reference}: no task of this run has a model yet, its first phase has not ended.")
        choices = [f"{SCHEME}{workdir}?task={name}" for name in opened.models]
        choices += [f"{SCHEME}{workdir}?trunk"] * (opened.joint is not None)
        raise CheckpointError(f"{reference}: say which task's model, one of {', '.join(choices)}.")
    try:
        model = opened.model(task)
    except UserError as error:
        raise CheckpointError(f"{reference}: {error}") from error
    name = f"{Path(opened.workdir).name}?task={task}"
    load = functools.partial(opened.load, task)
    return _checkpoint(reference, name, opened, model, load, opened.task(task).num_classes)


def _trunk(reference: str, opened: RunView) -> Checkpoint:
    """The layers that all tasks of a joint training share, and the root's where each has its own.

    Raises:
      CheckpointError: there is none.
    """
    if opened.joint is None:
        some = next(iter(opened.models), "TASK")
        raise CheckpointError(
            f"{reference}: only a joint training (`munet train`) has one trunk. Of an evolved run give a task's model: "
            f"?task={some}."
        )
    if not opened.models:
        raise CheckpointError(
            f"{reference}: the training is not complete, its trunk still moves: `munet train` with the same options "
            "goes on with it."
        )
    paths = [model.components for model in opened.models.values()]
    shared = {name: id for name, id in paths[0].items() if all(path.get(name) == id for path in paths[1:])}
    if not any(not opened.components[id].is_root for id in shared.values()):
        raise CheckpointError(f"{reference}: its tasks share no layer that was trained: there is no trunk.")
    first = next(iter(opened.models.values()))
    ids = {name: shared.get(name) or opened.root.components[name] for name in first.components if name != HEAD}

    def load() -> dict[ComponentName, dict[str, np.ndarray]]:
        return {name: opened.store.components.load(id) for name, id in ids.items()}

    return _checkpoint(
        reference, f"{Path(opened.workdir).name}?trunk", opened, replace(first, components=ids), load, num_classes=0
    )


def _checkpoint(
    reference: str,
    name: str,
    opened: RunView,
    model: ModelRecord,
    load_all: Callable[[], dict[ComponentName, dict[str, np.ndarray]]],
    num_classes: int,
) -> Checkpoint:
    """What `load_all` gives without its head, as a root that is called `name`; `model` says what that is."""
    variant = architecture.get_variant(opened.experiment.variant)
    ids = {name: id for name, id in model.components.items() if name != HEAD}
    tokens = opened.components[ids[POSITION]].layer_leaves["pos_embedding"].shape[1]
    adapters = tuple(architecture.layer_index(name) or 0 for name in ids if is_adapter(name))
    width = int(model.hyperparameters["adapter_dim"]) if adapters else 0
    facts = Facts(
        layout="munet",
        variant=variant,
        num_blocks=sum(is_block(name) for name in ids),
        image_size=math.isqrt(tokens - 1) * variant.patch_size,
        num_classes=num_classes,
        adapters=adapters,
        adapter_dim=width,
        notes=(_has_adapters(adapters, width),) if adapters else (),
    )
    digest = hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()

    def load(num_blocks: int, image_size: int | None) -> Components:
        if num_blocks > facts.num_blocks:
            raise CheckpointError(
                f"{name} in {opened.workdir} has {facts.num_blocks} blocks: use num_blocks={facts.num_blocks} or fewer."
            )
        return _as_root(load_all(), facts, num_blocks, image_size)

    return Checkpoint(reference, name, digest, facts, opened.workdir, load)


def _as_root(
    loaded: Mapping[ComponentName, FlatArrays], facts: Facts, num_blocks: int, image_size: int | None
) -> Components:
    wanted = architecture.path_names(num_blocks, facts.adapters)
    merged = merge_lora(loaded)
    components = {name: dict(arrays) for name, arrays in merged.items() if name in wanted and name != HEAD}
    if image_size:
        position = components[POSITION]
        position["pos_embedding"] = resize_position_embedding(
            position["pos_embedding"], facts.image_size, image_size, facts.variant.patch_size
        )
    return components


def _has_adapters(adapters: tuple[int, ...], width: int) -> str:
    return (
        f"it has residual adapters of width {width} before block {', '.join(map(str, adapters))}: they stay part of "
        f"the root, and all adapters of the run have that width"
    )
