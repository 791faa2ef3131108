"""What comes of a MUiR training: result.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from munet import kinds
from munet.methods.muir.folding import Sizes
from munet.types import TaskName

METRICS = {"value": "RMSE"}  # what a task's quality is called, by its objective; the lower the better


@dataclass(frozen=True)
class MuirTaskResult:
    """What one task's model of one replica is. Losses are means over the examples of a split.

    Attributes:
      validation_loss, test_loss: of the last version.
      best_validation_loss, best_test_loss: of the version with the best mean validation loss of all tasks.
      own_best_round: the round at which the task alone was best.
      params, accounted_params, flops, extras: as the learner's `Facts`, of the last version.
    """

    validation_loss: float
    test_loss: float
    best_validation_loss: float
    best_test_loss: float
    own_best_round: int
    params: int
    accounted_params: float
    flops: int
    extras: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class MuirReplica:
    """What came of one seed.

    Attributes:
      seed: of the replica.
      tasks: by name.
      mapping: the module of every location, of the last version.
      best_round: of the best version.
      best_mapping: its modules.
      file: of the last version's modules, contexts, alignment, and what is each task's own.
      weights: file of the same models without any of these: plain weights, by task and path.
      sizes: of the generated weights of all tasks together; results of older versions have neither.
    """

    seed: int
    tasks: Mapping[TaskName, MuirTaskResult]
    mapping: tuple[int, ...]
    best_round: int
    best_mapping: tuple[int, ...]
    file: str
    weights: str = ""
    sizes: Sizes | None = None

    def rmse(self, *, of_best: bool = False) -> float:
        """Root of the mean squared error on test examples, averaged over the tasks of values."""
        losses = [task.best_test_loss if of_best else task.test_loss for task in self.tasks.values()]
        return math.fsum(math.sqrt(loss) for loss in losses) / len(losses)


@dataclass(frozen=True)
class MuirResult:
    """What came of a training.

    Attributes:
      replicas: seed by seed.
      num_rounds: how long.
      example_steps: training examples that one replica saw.
      seconds: all starts together, all replicas.
    """

    replicas: tuple[MuirReplica, ...]
    num_rounds: int
    example_steps: int
    seconds: float

    @property
    def kept(self) -> tuple[str, str]:
        """What is to be read of it, in words, and its file."""
        return "result", "result.json"

    def lines(self) -> list[str]:
        """For people, a line a replica."""
        return [
            f"seed {one.seed}: test RMSE {one.rmse():.4f} at the end, {one.rmse(of_best=True):.4f} of the best version "
            f"by validation (round {one.best_round:,}); mean of {len(one.tasks)} tasks, the lower the better; "
            f"{len(set(one.mapping))} modules for {len(one.mapping)} blocks"
            for one in self.replicas
        ]


MUIR = kinds.named("muir")
