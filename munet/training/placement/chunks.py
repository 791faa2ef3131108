"""Children that run in one dispatch, on their devices; and which of them are on the devices at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet.training.placement.fitting import Need, Spread, need
from munet.training.placement.grouping import Group
from munet.training.program import sharding


@dataclass(frozen=True)
class Chunk:
    """Children of one group that run in one dispatch on one mesh; `members` index the generation's children."""

    group: Group
    members: tuple[int, ...]
    mesh: Mesh
    size: int  # length of the child axis: `members` plus padding up to a multiple of the mesh
    wave: int = 0  # chunks of one wave train side by side, waves one after the other
    parts: int = 1  # in which batches pass, one after the other

    @property
    def by_child(self) -> NamedSharding:
        """Arrays with nothing but a child axis: spread over it."""
        return NamedSharding(self.mesh, PartitionSpec("child"))

    def put(self, tree: Any) -> Any:
        """Puts arrays with a leading child axis on the devices: what is a child's on its own."""
        return jax.device_put(tree, sharding.of_children(tree, self.mesh))

    def put_batches(self, arrays: Any) -> Any:
        """Puts images or labels [batches, n, ...], which all children see, on the devices."""
        return jax.tree.map(lambda leaf: jax.device_put(leaf, sharding.of_batches(self.mesh, leaf.shape[1])), arrays)

    @property
    def spread(self) -> Spread:
        """How each child is spread, over devices and in time."""
        return Spread(self.mesh.shape["data"], self.mesh.shape["model"], self.parts)

    @property
    def need(self) -> Need:
        """What its children are estimated to take on each device, beside batches and images."""
        one, stacked = need(self.group.signature, self.spread), self.size // self.mesh.shape["child"]
        return Need(stacked * one.kept, stacked * one.working)


def in_waves(chunks: Sequence[Chunk], room: int | None) -> list[Chunk]:
    """Numbers the waves: a chunk begins a new one if it does not fit beside those before it.

    All chunks of a wave keep their children on the devices; one at a time works there, where room is limited.
    """
    if room is None:
        return list(chunks)
    kept: Counter[jax.Device] = Counter()
    working: dict[jax.Device, int] = {}
    wave, placed = 0, []
    for chunk in chunks:
        own, work = chunk.need.kept, chunk.need.working
        devices = list(chunk.mesh.devices.flat)
        if any(device in working and kept[device] + own + max(working[device], work) > room for device in devices):
            wave += 1
            kept.clear()
            working.clear()
        for device in devices:
            kept[device] += own
            working[device] = max(working.get(device, 0), work)
        placed.append(replace(chunk, wave=wave))
    return placed
