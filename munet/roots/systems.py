"""An earlier system of ours as root: `munet:runs/demo?task=digits` is that task's retained model without its head.

Low-rank updates are folded into the weights that they update. Residual adapters belong to the root's blocks: whoever
begins with it has them, and may go on training copies of them as of any layer of the root.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from munet.errors import CheckpointError, UserError
from munet.paths import expanded
from munet.roots.checkpoint import Checkpoint
from munet.system import view
from munet.system.view import RunView
from munet.types import TaskName
from munet.vit import architecture
from munet.vit.architecture import HEAD, POSITION, Variant, is_adapter, is_block
from munet.vit.augreg import Components
from munet.vit.headers import Facts
from munet.vit.init import merge_lora, resize_position_embedding

SCHEME = "munet:"


def open_system(reference: str) -> Checkpoint:
    """The model that `munet:WORKDIR?task=TASK` names.

    Raises:
      CheckpointError: no or an unknown task, or one without a model.
      WorkdirError: there is no run.
      CorruptionError: the run is damaged.
    """
    workdir, _, option = reference.removeprefix(SCHEME).partition("?")
    if not workdir:
        raise CheckpointError(f"{reference!r}: a run's directory is missing, e.g. {SCHEME}runs/demo?task=digits.")
    opened = view.open(str(expanded(workdir)) if "://" not in workdir else workdir)
    name, _, task = option.partition("=")
    if name != "task" or not task:
        if not opened.models:
            raise CheckpointError(f"{reference}: no task of this run has a model yet, its first phase has not ended.")
        choices = ", ".join(f"{SCHEME}{workdir}?task={name}" for name in opened.models)
        raise CheckpointError(f"{reference}: say which task's model, one of {choices}.")
    try:
        model = opened.model(task)
    except UserError as error:
        raise CheckpointError(f"{reference}: {error}") from error
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
        num_classes=opened.task(task).num_classes,
        adapters=adapters,
        adapter_dim=width,
        notes=(_has_adapters(adapters, width),) if adapters else (),
    )
    digest = hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()
    name = f"{Path(opened.workdir).name}?task={task}"

    def load(num_blocks: int, image_size: int | None) -> Components:
        return _load(opened, task, variant, facts, num_blocks, image_size)

    return Checkpoint(reference, name, digest, facts, opened.workdir, load)


def _load(
    opened: RunView, task: TaskName, variant: Variant, facts: Facts, num_blocks: int, image_size: int | None
) -> Components:
    if num_blocks > facts.num_blocks:
        raise CheckpointError(
            f"The model of {task!r} in {opened.workdir} has {facts.num_blocks} blocks: use "
            f"num_blocks={facts.num_blocks} or fewer."
        )
    wanted = architecture.path_names(num_blocks, facts.adapters)
    merged = merge_lora(opened.load(task))
    components = {name: dict(arrays) for name, arrays in merged.items() if name in wanted and name != HEAD}
    if image_size:
        position = components[POSITION]
        position["pos_embedding"] = resize_position_embedding(
            position["pos_embedding"], facts.image_size, image_size, variant.patch_size
        )
    return components


def _has_adapters(adapters: tuple[int, ...], width: int) -> str:
    return (
        f"it has residual adapters of width {width} before block {', '.join(map(str, adapters))}: they stay part of "
        f"the root, and all adapters of the run have that width"
    )
