"""Where children run: which devices each of them gets, and when (DESIGN section 4, "Placement of a group").

Mesh axes are (child, data, model). The devices are cut into slots: one device each, or as many as a child needs that
does not fit on one (fitting.py). A generation's groups get disjoint sets of slots where there are enough; within a
group, children are spread over its slots and, on each, stacked: a `Chunk` runs in one dispatch. Chunks that do not fit
side by side train in waves, one wave after the other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from munet.config import Runtime
from munet.errors import UserError
from munet.training import fitting, memory
from munet.training.chunks import Chunk, in_waves
from munet.training.fitting import Inner
from munet.training.grouping import CostModel, Group
from munet.training.sharding import AXES


@dataclass(frozen=True)
class Layout:
    """The devices of a run and how children may be placed on them.

    Attributes:
      devices: all of them.
      children_per_device: how many are stacked on one in a dispatch, at most.
      mesh: slots, and lengths of `data` and `model` in each, as the user wants them; (): whatever fits.
      memory: bytes of a device to plan with; None: no limit is known.
    """

    devices: tuple[jax.Device, ...]
    children_per_device: int
    mesh: tuple[int, ...] = ()
    memory: int | None = None

    @classmethod
    def detect(cls, runtime: Runtime) -> Layout:
        """The devices that JAX shows, limited by `runtime.num_devices`.

        On CPU children run one after the other unless told otherwise; elsewhere as much of a group is stacked as fits.

        Raises:
          UserError: more devices are asked for than there are, or a mesh of another size.
        """
        devices = jax.devices()
        if runtime.num_devices > len(devices):
            raise UserError(
                f"runtime.num_devices = {runtime.num_devices}, but JAX sees {len(devices)} {devices[0].platform} "
                f"device(s). Give at most {len(devices)}, or 0 for all."
            )
        used = tuple(devices[: runtime.num_devices or None])
        mesh = tuple(runtime.mesh)
        if mesh and math.prod(mesh) != len(used):
            raise UserError(fitting.mesh_problem(mesh, len(used), len(devices)))
        stacked = runtime.children_per_dispatch or (1 if devices[0].platform == "cpu" else 1 << 16)
        return cls(used, stacked, mesh, memory.budget(used, runtime.device_memory_gb))

    def describe(self) -> dict[str, object]:
        """What the journal keeps of the layout: bitwise equality is promised on one layout only."""
        platform = self.devices[0].platform
        cores: dict[str, object] = {}
        if platform == "cpu":  # XLA cuts work by the number of threads, which may change the order of sums
            has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
            cores["num_cpus"] = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
        # Without a limit, and on one device with one child at a time, memory decides nothing.
        planned = {"mesh": list(self.mesh), "memory": self.memory} if self._has_choice else {}
        return {
            "platform": platform,
            "device_kind": self.devices[0].device_kind,
            "num_devices": len(self.devices),
            "children_per_device": self.children_per_device,
            **planned,
            **cores,
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
        }

    @property
    def _has_choice(self) -> bool:
        return len(self.devices) > 1 or self.children_per_device > 1 or self.memory is not None

    @property
    def unlimited(self) -> Layout:
        """The same, whatever does not fit."""
        return replace(self, memory=None)

    @property
    def single(self) -> Layout:
        """Its first device alone, whatever does not fit."""
        return Layout(self.devices[:1], self.children_per_device)

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


def place(groups: Sequence[Group], layout: Layout, reserved: int = 0) -> list[Chunk]:
    """Assigns every group its devices and cuts it into chunks, in the order in which they are to train.

    Args:
      groups: of one stream of batches.
      layout: the devices.
      reserved: bytes of each device that batches and images take.

    Raises:
      UserError: a child does not fit, however it is spread.
    """
    room = None if layout.memory is None else layout.memory - reserved
    programs = {group.signature: None for group in groups}
    wanted = Inner(*layout.mesh[1:]) if layout.mesh else None
    inner = wanted or fitting.choose_inner(programs, len(layout.devices), room)
    if layout.memory is not None and (
        inner is None or not all(fitting.num_fitting(program, inner, room) for program in programs)
    ):
        raise fitting.too_large(programs, wanted, len(layout.devices), layout.memory, reserved)
    inner = inner or Inner()
    slots = [tuple(layout.devices[at : at + inner.size]) for at in range(0, len(layout.devices), inner.size)]
    chunks = []
    for group, own in zip(groups, _share_slots([len(g.members) for g in groups], slots), strict=True):
        stacked = min(layout.children_per_device, fitting.num_fitting(group.signature, inner, room))
        for start in range(0, len(group.members), len(own) * stacked):
            members = group.members[start : start + len(own) * stacked]
            used = own[: min(len(own), len(members))]
            mesh = Mesh(np.array(used).reshape(len(used), inner.data, inner.model), AXES)
            size = -(-len(members) // len(used)) * len(used)
            chunks.append(Chunk(group, members, mesh, size))
    return in_waves(chunks, room)


_Slot = TypeVar("_Slot")


def _share_slots(sizes: Sequence[int], slots: Sequence[_Slot]) -> list[tuple[_Slot, ...]]:
    """Disjoint runs of slots in proportion to group sizes; groups share slots when there are too few."""
    total, count = sum(sizes), len(slots)
    if count >= total:
        starts = np.cumsum([0, *sizes])
        return [tuple(slots[a:b]) for a, b in pairwise(starts)]
    if count < len(sizes):
        return [(slots[index % count],) for index in range(len(sizes))]
    shares = [1] * len(sizes)
    while sum(shares) < count:  # the next slot goes where most children wait for each one
        shares[max(range(len(sizes)), key=lambda index: sizes[index] / shares[index])] += 1
    starts = np.cumsum([0, *shares])
    return [tuple(slots[a:b]) for a, b in pairwise(starts)]
