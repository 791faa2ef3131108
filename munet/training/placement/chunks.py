"""Where the children of a generation train: chunks run in one dispatch, waves are on the devices at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet import rng
from munet.training.placement.fitting import Need, Spread, need
from munet.training.placement.grouping import Group
from munet.training.placement.streams import Stream
from munet.training.program import sharding
from munet.training.work import TaskWork
from munet.types import ChildPlan, GenerationPlan


@dataclass(frozen=True)
class Chunk:
    """Children of one group that run in one dispatch on one mesh; `members` index the children of its stream."""

    group: Group
    members: tuple[int, ...]
    mesh: Mesh
    size: int  # length of the child axis: `members` plus padding up to a multiple of the mesh
    wave: int = 0  # chunks of one wave train side by side, waves one after the other
    parts: int = 1  # in which batches pass, one after the other
    stream: int = 0  # of those that are placed together

    @property
    def by_child(self) -> NamedSharding:
        """Arrays with nothing but a child axis: spread over it."""
        return NamedSharding(self.mesh, PartitionSpec("child"))

    def put(self, tree: Any) -> Any:
        """Puts arrays with a leading child axis on the devices: what is a child's on its own."""
        has_device = self.mesh.size == self.mesh.shape["child"]  # each of its own; else its arrays are cut
        return jax.device_put(tree, self.by_child if has_device else sharding.of_children(tree, self.mesh))

    def put_batches(self, arrays: Any) -> Any:
        """Puts images or labels [batches, n, ...], which all children see, on the devices."""
        return jax.tree.map(lambda leaf: jax.device_put(leaf, self.by_image(leaf.shape[1])), arrays)

    def by_image(self, batch_size: int) -> NamedSharding:
        """Images or labels [batches, n, ...]: spread over `data`, or whole on every device if that is uneven."""
        data = self.mesh.shape["data"]
        is_spread = data > 1 and batch_size % data == 0
        return NamedSharding(self.mesh, PartitionSpec(None, "data") if is_spread else PartitionSpec())

    @property
    def spread(self) -> Spread:
        """How each child is spread, over devices and in time."""
        return Spread(self.mesh.shape["data"], self.mesh.shape["model"], self.parts)

    @property
    def need(self) -> Need:
        """What its children are estimated to take on each device, beside batches and images."""
        one, stacked = need(self.group.signature, self.spread), self.size // self.mesh.shape["child"]
        return Need(stacked * one.kept, stacked * one.working)


@dataclass(frozen=True)
class Wave:
    """Chunks whose children are on the devices at the same time.

    Attributes:
      streams: that chunks index; some may have no chunk in this wave.
      chunks: those of this wave, stream by stream.
      is_last: whether no other wave of the generation follows.
    """

    streams: tuple[Stream, ...]
    chunks: tuple[Chunk, ...]
    is_last: bool = False

    def of(self, chunk: Chunk) -> list[ChildPlan]:
        """The children of one of its chunks."""
        return [self.streams[chunk.stream].children[index] for index in chunk.members]

    @property
    def trained(self) -> list[ChildPlan]:
        """The children that this wave trains, stream by stream, in the generation's order in each."""
        places = sorted((chunk.stream, index) for chunk in self.chunks for index in chunk.members)
        return [self.streams[stream].children[index] for stream, index in places]

    @property
    def by_stream(self) -> dict[int, list[Chunk]]:
        """Its chunks by their stream."""
        found: dict[int, list[Chunk]] = {}
        for chunk in self.chunks:
            found.setdefault(chunk.stream, []).append(chunk)
        return found

    @property
    def path(self) -> rng.Path:
        """Key of all batches that are trained on in it: its stream's, or those of its streams one after the other."""
        return tuple(chain.from_iterable(self.streams[index].path for index in self.by_stream))


@dataclass(frozen=True)
class Placed:
    """What `Trainer.plan` gives and `Trainer.train` takes.

    Attributes:
      generation: the children as the controller proposed them.
      work: what each of them is.
      waves: in the order in which they train; every child is in one chunk of one of them.
    """

    generation: GenerationPlan
    work: TaskWork
    waves: tuple[Wave, ...]

    @property
    def num_programs(self) -> int:
        """How many train programs the generation runs in, all waves together."""
        return len({chunk.group.signature for wave in self.waves for chunk in wave.chunks})
