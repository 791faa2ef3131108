"""The devices of a run, and what is known of them: how many, how large, how fast.

Mesh axes are (child, data, model). The devices are cut into slots: one device each, or as many as a child needs that
does not fit on one (fitting.py); which child gets which is decided in placing.py. On a CPU the chunks of a wave are at
work at the same time, one on each core.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax

from munet import accelerators
from munet.config import Runtime
from munet.errors import UserError
from munet.threads import num_cores
from munet.training.placement import device_memory, fitting
from munet.training.placement.grouping import CostModel, Group
from munet.training.program import jax_settings


@dataclass(frozen=True)
class DeviceLayout:
    """The devices of a run and how children may be placed on them.

    Attributes:
      devices: all of them.
      children_per_device: how many are stacked on one in a dispatch, at most.
      mesh: slots, and lengths of `data` and `model` in each, as the user wants them; (): whatever fits.
      memory: bytes of a device to plan with; None: no limit is known.
      microbatch: images of a batch that pass at a time, at most; 0: on a CPU what its caches hold best, elsewhere whole
        batches, if they fit.
      cores: of the machine, that this process may use; they matter where the devices are a CPU's.
    """

    devices: tuple[jax.Device, ...]
    children_per_device: int
    mesh: tuple[int, ...] = ()
    memory: int | None = None
    microbatch: int = 0
    cores: int = field(default_factory=num_cores)

    @classmethod
    def detect(cls, runtime: Runtime) -> DeviceLayout:
        """The devices that JAX shows, limited by `runtime.num_devices`.

        On a CPU children are not stacked unless told otherwise, but work side by side (`chunks_at_once`); elsewhere as
        much of a group is stacked as fits.

        Raises:
          UserError: more devices are asked for than there are, or a mesh of another size; none can be used, or this is
            one of several hosts.
        """
        jax_settings.pin()
        devices = accelerators.local_devices()
        if runtime.num_devices > len(devices):
            raise UserError(
                f"runtime.num_devices = {runtime.num_devices}, but JAX sees {len(devices)} {devices[0].platform} "
                f"device(s). Give at most {len(devices)}, or 0 for all."
            )
        used = devices[: runtime.num_devices or None]
        mesh = tuple(runtime.mesh)
        if mesh and math.prod(mesh) != len(used):
            raise UserError(fitting.mesh_problem(mesh, len(used), len(devices)))
        stacked = runtime.children_per_dispatch or (1 if devices[0].platform == "cpu" else 1 << 16)
        return cls(used, stacked, mesh, device_memory.budget(used, runtime.device_memory_gb), runtime.microbatch)

    def describe(self) -> dict[str, object]:
        """What the journal keeps of the layout: bitwise equality is promised on one layout only."""
        # XLA cuts work by the number of threads, and batches are cut for the caches of cores, or to fit: all of that
        # changes the order of sums.
        cores = {"num_cpus": self.cores, "tokens_per_core": fitting.TOKENS_PER_CORE} if self._is_cpu else {}
        return {
            "platform": self.devices[0].platform,
            "device_kind": self.devices[0].device_kind,
            "num_devices": len(self.devices),
            "children_per_device": self.children_per_device,
            "mesh": list(self.mesh),
            "memory": self.memory,
            "microbatch": self.microbatch,
            **cores,
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "jax": jax_settings.describe(),
        }

    @property
    def chunks_at_once(self) -> int:
        """How many chunks are at work at the same time: on a CPU without a limit one for each core, elsewhere 1."""
        return self.cores if self._is_cpu and len(self.devices) == 1 and self.memory is None else 1

    def least_parts(self, groups: Sequence[Group], together: Sequence[Group] | None = None) -> int:
        """The fewest parts in which batches pass, if nothing else asks for more: what the user says, or is fastest.

        Args:
          groups: of the children that see the same batches; all have their size.
          together: of all streams that share the cores; None: these groups alone.
        """
        program = groups[0].signature
        if self.microbatch:
            return -(-program.batch_size // self.microbatch)
        if not self._is_cpu:
            return 1
        chunks = sum(-(-len(group.members) // self.children_per_device) for group in together or groups)
        working = min(self.cores, max(self.chunks_at_once, len(self.devices)), chunks)
        return fitting.cached_parts(program, self.cores / working)

    @property
    def _is_cpu(self) -> bool:
        return self.devices[0].platform == "cpu"

    @property
    def unlimited(self) -> DeviceLayout:
        """The same, whatever does not fit."""
        return replace(self, memory=None)

    @property
    def single(self) -> DeviceLayout:
        """Its first device alone, whatever does not fit."""
        return replace(self, devices=self.devices[:1], mesh=(), memory=None)

    @property
    def cost_model(self) -> CostModel:
        """Measured on this kind of device: see docs/performance.md."""
        return _COST_MODELS.get(self.devices[0].platform, _COST_MODELS["default"])


# Fixed numbers, not measured at run time: grouping must not depend on how busy the machine is.
_COST_MODELS = {
    "cpu": CostModel(flops_per_second=100e9, backward_factor=1.0, adapter_share=0.05, compile_seconds=0.45),
    # Guesses: nothing was measured on an accelerator. A TPU's compiler takes 20 to 60 s for a program, so children
    # share more of them than on a GPU. Summing up the gradients of a Ti/16 over devices takes well below 5 ms; the
    # steps of larger models grow faster than their gradients.
    "tpu": CostModel(
        flops_per_second=60e12, backward_factor=1.0, adapter_share=0.1, compile_seconds=3.0, least_seconds=0.005
    ),
    "default": CostModel(
        flops_per_second=20e12, backward_factor=1.0, adapter_share=0.1, compile_seconds=1.7, least_seconds=0.005
    ),
}
