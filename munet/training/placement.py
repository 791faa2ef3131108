"""Where children run: the only file that knows of devices and meshes (DESIGN section 4, "Placement of a group").

A generation's groups get disjoint sets of devices where there are enough; within a group, children are spread over its
devices and, on each, stacked: `chunk` says how many run in one dispatch. Mesh axes are (child, data, model); a child
larger than one device will use the inner two.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet.config import Runtime
from munet.errors import UserError
from munet.training.grouping import CostModel, Group

AXES = ("child", "data", "model")


@dataclass(frozen=True)
class Layout:
    """The devices of a run and how many children are stacked on one of them in a dispatch."""

    devices: tuple[jax.Device, ...]
    children_per_device: int

    @classmethod
    def detect(cls, runtime: Runtime) -> Layout:
        """The devices that JAX shows, limited by `runtime.num_devices`.

        On CPU children run one after the other unless told otherwise; elsewhere a group is stacked whole.

        Raises:
          UserError: more devices are asked for than there are.
        """
        devices = jax.devices()
        if runtime.num_devices > len(devices):
            raise UserError(
                f"runtime.num_devices = {runtime.num_devices}, but JAX sees {len(devices)} {devices[0].platform} "
                f"device(s). Give at most {len(devices)}, or 0 for all."
            )
        stacked = runtime.children_per_dispatch or (1 if devices[0].platform == "cpu" else 1 << 16)
        return cls(tuple(devices[: runtime.num_devices or None]), stacked)

    def describe(self) -> dict[str, object]:
        """What the journal keeps of the layout: bitwise equality is promised on one layout only."""
        platform = self.devices[0].platform
        cores: dict[str, object] = {}
        if platform == "cpu":  # XLA cuts work by the number of threads, which may change the order of sums
            has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
            cores["num_cpus"] = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
        return {
            "platform": platform,
            "device_kind": self.devices[0].device_kind,
            "num_devices": len(self.devices),
            "children_per_device": self.children_per_device,
            **cores,
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
        }

    @property
    def cost_model(self) -> CostModel:
        """Measured on this kind of device: see docs/performance.md."""
        return _COST_MODELS.get(self.devices[0].platform, _COST_MODELS["default"])


def data_mesh(layout: Layout) -> Mesh:
    """All devices along the `data` axis: they share every batch of one training."""
    return Mesh(np.array(layout.devices).reshape(1, -1, 1), AXES)


# Fixed numbers, not measured at run time: grouping must not depend on how busy the machine is.
_COST_MODELS = {
    "cpu": CostModel(flops_per_second=100e9, backward_factor=1.0, adapter_share=0.05, compile_seconds=0.45),
    "default": CostModel(flops_per_second=20e12, backward_factor=1.0, adapter_share=0.1, compile_seconds=1.7),
}


@dataclass(frozen=True)
class Chunk:
    """Children of one group that run in one dispatch on one mesh; `members` index the generation's children."""

    group: Group
    members: tuple[int, ...]
    mesh: Mesh
    size: int  # length of the child axis: `members` plus padding up to a multiple of the mesh

    @property
    def by_child(self) -> NamedSharding:
        """Arrays with a leading child axis: spread over the mesh."""
        return NamedSharding(self.mesh, PartitionSpec("child"))

    @property
    def replicated(self) -> NamedSharding:
        """Arrays that every child sees: a copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())


def place(groups: Sequence[Group], layout: Layout) -> list[Chunk]:
    """Assigns every group its devices and cuts it into chunks."""
    chunks = []
    for group, devices in zip(groups, _share_devices([len(g.members) for g in groups], layout.devices), strict=True):
        room = len(devices) * layout.children_per_device
        for start in range(0, len(group.members), room):
            members = group.members[start : start + room]
            used = devices[: min(len(devices), len(members))]
            mesh = Mesh(np.array(used).reshape(len(used), 1, 1), AXES)
            size = -(-len(members) // len(used)) * len(used)
            chunks.append(Chunk(group, members, mesh, size))
    return chunks


def _share_devices(sizes: Sequence[int], devices: Sequence[jax.Device]) -> list[tuple[jax.Device, ...]]:
    """Disjoint runs of devices in proportion to group sizes; groups share devices when there are too few."""
    total, count = sum(sizes), len(devices)
    if count >= total:
        starts = np.cumsum([0, *sizes])
        return [tuple(devices[a:b]) for a, b in pairwise(starts)]
    if count < len(sizes):
        return [(devices[index % count],) for index in range(len(sizes))]
    shares = [1] * len(sizes)
    while sum(shares) < count:  # the next device goes where most children wait for each one
        shares[max(range(len(sizes)), key=lambda index: sizes[index] / shares[index])] += 1
    starts = np.cumsum([0, *shares])
    return [tuple(devices[a:b]) for a, b in pairwise(starts)]
