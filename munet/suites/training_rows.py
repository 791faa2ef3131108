"""What the rows of a joint training from a root have in common, whatever its method (MUiR, routing)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from munet.joint.beginning import Beginning
from munet.store import codec
from munet.suites.rows import hash_of_joint
from munet.types import TaskName


class FromRoot(Protocol):
    """Settings of a training that begins with a root."""

    @property
    def variant(self) -> str:
        """Its architecture."""

    @property
    def num_blocks(self) -> int:
        """How many of its blocks there are."""


def num_devices(beginning: Beginning) -> int:
    """On how many devices a training began."""
    return int(str(beginning.layout.get("num_devices", 1)))


def of_training(
    beginning: Beginning, experiment: FromRoot, kind: str, *, seconds: float, image_steps: int, total_params: int
) -> dict[str, Any]:
    """The columns that all rows of one seed share.

    Args:
      beginning: of the training.
      experiment: its settings.
      kind: of the training, as `munet/kinds/__init__.py` names it.
      seconds: of all devices, for this seed.
      image_steps: of all tasks of this seed.
      total_params: unique parameters of all models of this seed.
    """
    return {
        "quality_metric": "accuracy",
        "num_children": 0,
        "num_kept": 0,
        "total_params": total_params,
        "params_per_task": total_params / len(beginning.tasks),
        "run_image_steps": image_steps,
        "run_device_seconds": seconds,
        "baseline": "",
        "scale_factor": 1.0,
        "auto_tune": False,
        "insert_adapters": False,
        "variant": experiment.variant,
        "num_blocks": experiment.num_blocks,
        "root_name": str(beginning.root.get("name", "")),
        "root_sha256": str(beginning.root.get("sha256", "")),
        "experiment_sha256": hash_of_joint(codec.to_json(experiment)),
        "device": str(beginning.layout.get("device_kind", "")),
        "num_devices": num_devices(beginning),
        "munet_version": str(beginning.versions.get("munet", "")),
        "jax_version": str(beginning.versions.get("jax", "")),
        "kind": kind,
    }


def spent(task: TaskName, batches: Mapping[TaskName, int], rounds: int, seconds: float) -> dict[str, Any]:
    """The columns of what one task took of a training.

    Args:
      task: whose row it is.
      batches: images of every task in a round.
      rounds: of the training.
      seconds: of all devices, for all tasks.
    """
    return {
        "image_steps": rounds * batches[task],
        "device_seconds": seconds * batches[task] / sum(batches.values()),
    }
