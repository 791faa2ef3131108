"""What comes of a MUiR training: result.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from munet.config.muir import MuirExperiment
from munet.errors import CorruptionError
from munet.joint.workdir import Kind
from munet.methods.muir.folding import Sizes
from munet.methods.muir.metrics import METRICS
from munet.text import count
from munet.types import Quality, TaskName


@dataclass(frozen=True)
class MuirTaskResult:
    """What one task's model of one replica is. Losses are means over the examples of a split.

    Attributes:
      validation_loss, test_loss: of the last version.
      best_validation_loss, best_test_loss: of the version with the best mean validation loss of all tasks.
      own_best_round: the round at which the task alone was best.
      params, accounted_params, flops, extras: as the learner's `Facts`, of the last version.
      metric: what the task's quality is told in (`metrics.py`).
      test, best_test: of classes what is right, of both versions; else None.
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
    metric: str = "RMSE"
    test: Quality | None = None
    best_test: Quality | None = None

    def quality(self, *, of_best: bool = False) -> float:
        """On test examples, in the task's metric."""
        counted, of_loss = (self.best_test if of_best else self.test), METRICS[self.metric].of_loss
        if counted is not None:
            return counted.value
        if of_loss is None:
            raise CorruptionError(f"result.json: a task has no counts, and its metric is {self.metric}.")
        return of_loss(self.best_test_loss if of_best else self.test_loss)


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

    @property
    def metric(self) -> str:
        """That of all tasks; "" if they have several."""
        found = {task.metric for task in self.tasks.values()}
        return found.pop() if len(found) == 1 else ""

    def mean_quality(self, *, of_best: bool = False) -> float:
        """On test examples, averaged over the tasks, which have one metric."""
        return math.fsum(task.quality(of_best=of_best) for task in self.tasks.values()) / len(self.tasks)


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


MUIR = Kind("muir.json", "MUiR training", MuirResult, MuirExperiment)


def lines(result: MuirResult) -> Sequence[str]:
    """For people, a line a replica, or for each of its tasks if these have several metrics."""
    found = []
    for one in result.replicas:
        shared = f"{len(set(one.mapping)):,} modules for {len(one.mapping):,} blocks"
        if one.metric:
            metric, values = METRICS[one.metric], (one.mean_quality(), one.mean_quality(of_best=True))
            found.append(
                f"seed {one.seed}: test {one.metric} {metric.text(values[0])} at the end, {metric.text(values[1])} of "
                f"the best version by validation (round {one.best_round:,}); mean of {count(len(one.tasks), 'task')}, "
                f"{metric.words}; {shared}"
            )
            continue
        found.append(f"seed {one.seed}: {shared}; best version by validation: round {one.best_round:,}")
        for name, task in one.tasks.items():
            metric = METRICS[task.metric]
            found.append(
                f"  {name}: test {task.metric} {metric.text(task.quality())} at the end, "
                f"{metric.text(task.quality(of_best=True))} of the best version; {metric.words}"
            )
    return found
