"""A generation with its place: which of its children train in which programs, on which devices, and when."""

from __future__ import annotations

from dataclasses import dataclass

from munet import rng
from munet.training.placement.chunks import Chunk
from munet.training.work import TaskWork
from munet.types import ChildPlan, GenerationPlan


@dataclass(frozen=True)
class Wave:
    """Chunks whose children are on the devices at the same time and see the same batches.

    Attributes:
      path: key of their batches.
      children: all that see these batches, in the order that the members of chunks index.
      chunks: those of this wave.
      is_last: whether no other wave of the generation follows.
    """

    path: rng.Path
    children: tuple[ChildPlan, ...]
    chunks: tuple[Chunk, ...]
    is_last: bool = True

    def of(self, chunk: Chunk) -> list[ChildPlan]:
        """The children of one of its chunks."""
        return [self.children[index] for index in chunk.members]

    @property
    def trained(self) -> list[ChildPlan]:
        """The children that this wave trains, in the generation's order."""
        return [self.children[index] for index in sorted(index for chunk in self.chunks for index in chunk.members)]

    @property
    def image_size(self) -> int:
        """Of all its children, in pixels on a side: it is a data setting."""
        return int(self.children[0].hyperparameters["image_size"])


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
