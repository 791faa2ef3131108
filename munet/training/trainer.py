"""The seam between the run loop and whatever trains: a generation is planned, then trained.

`Population` trains on the devices of one machine. Whatever else trains (many machines, a simulation) takes its place by
these two methods; nothing above it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from munet.training.assemble import FlatArrays
from munet.training.placement.chunks import Placed
from munet.training.work import TaskWork
from munet.types import ChildCost, ComponentName, CycleQualities, GenerationPlan, ModelId, Quality

# Called after each cycle with (cycle, the quality of each child that trained in it, images seen, seconds).
OnCycle = Callable[[int, Mapping[ModelId, Quality], int, float], None]
# Called while programs are compiled, in this thread, with (how many are ready, how many are wanted): first with (0, n),
# at last with (n, n); never where nothing new is to be compiled.
OnCompiled = Callable[[int, int], None]


def tell_nobody(done: int, total: int) -> None:
    """For whoever does not want to hear of compilation."""


@dataclass(frozen=True)
class TrainedChild:
    """What training one child gave.

    Attributes:
      training: the quality of each cycle.
      best: unpadded arrays of its trainable components at its best cycle.
      cost: for the journal.
      latency: measured seconds an image, where the score counts them.
    """

    training: CycleQualities
    best: Mapping[ComponentName, FlatArrays]
    cost: ChildCost
    latency: float | None = None


class Trainer(Protocol):
    """Trains the generations of a run."""

    def plan(self, generation: GenerationPlan, work: TaskWork, known: Collection[str]) -> Placed:
        """Decides how the children will be trained: in which programs, where, and when.

        Args:
          generation: the children.
          work: what each of them is.
          known: the train programs that the run has used before, as the journal calls them; they decide the grouping.

        Raises:
          UserError: a child fits no device, or training images, whose size matters to that, cannot be read.
        """

    def train(
        self, placed: Placed, on_cycle: OnCycle, on_compiled: OnCompiled = tell_nobody
    ) -> dict[ModelId, TrainedChild]:
        """Trains every child of a placed generation and returns them by id.

        Args:
          placed: as `plan` gave it.
          on_cycle: told after each cycle.
          on_compiled: told while programs are compiled.

        Raises:
          UserError: training images cannot be read, or a device has no room left.
        """
