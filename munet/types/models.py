"""Models: one task's path through components each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from munet.quality import Quality
from munet.types.names import ComponentId, ComponentName, Hyperparameters, ModelId, TaskName


@dataclass(frozen=True)
class ModelRecord:
    """A model: one task's path through components, with its hyper-parameters, lineage and measurements.

    Attributes:
      id: unique in the run, counting up from the root's 0.
      task: the task it solves; None for the root.
      parent: its nearest retained ancestor; None for the root.
      hyperparameters: all of them, by name.
      components: component id by component name, in path order.
      quality: validation quality of its best cycle; None for the root.
      offspring: children created from it for its own task (Eq. 1).
      test_quality: measured once, at the end of the phase that retained it; never used for decisions.
      latency: seconds an image, measured where the score counts it.
    """

    id: ModelId
    task: TaskName | None
    parent: ModelId | None
    hyperparameters: Hyperparameters
    components: Mapping[ComponentName, ComponentId]
    quality: Quality | None = None
    offspring: int = 0
    test_quality: Quality | None = None
    latency: float | None = field(default=None, metadata={"omit_default": True})
