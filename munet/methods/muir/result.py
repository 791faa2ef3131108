"""What comes of a MUiR training: result.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from munet import kinds
from munet.errors import CorruptionError
from munet.methods.muir.blocks import Block, Matrices
from munet.methods.muir.folding import Sizes
from munet.methods.muir.generic import Generic
from munet.methods.muir.metrics import METRICS
from munet.text import count
from munet.types import Quality, TaskName


@dataclass(frozen=True)
class MuirTaskResult:
    """What one task's model of one replica is. Losses are means over the examples of a split.

    Attributes:
      validation_loss, test_loss: of the last version.
      best_validation_loss, best_test_loss: of the version with the best mean validation loss of all tasks.
      own_best_round: the round at which the task alone was best by its validation loss; its version is not kept.
      params, accounted_params, flops, extras: as the learner's `Facts`, of the last version.
      metric: what the task's quality is told in (`metrics.py`).
      test, best_test: of classes what is right, of both versions; else None.
      own_best_validation_loss: of the version at `own_best_round`; results of older versions do not say it.
      own_best_validation: of classes what is right, of the same; else None.
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
    own_best_validation_loss: float | None = None
    own_best_validation: Quality | None = None

    def quality(self, *, of_best: bool = False) -> float:
        """On test examples, in the task's metric."""
        if of_best:
            return self._in_metric(self.best_test, self.best_test_loss)
        return self._in_metric(self.test, self.test_loss)

    @property
    def own_best_quality(self) -> float | None:
        """On validation examples, in the task's metric, at its own best round; None: not known."""
        if self.own_best_validation_loss is None:
            return None
        return self._in_metric(self.own_best_validation, self.own_best_validation_loss)

    def _in_metric(self, counted: Quality | None, loss: float) -> float:
        if counted is not None:
            return counted.value
        if (of_loss := METRICS[self.metric].of_loss) is None:
            raise CorruptionError(f"result.json: a task has no counts, and its metric is {self.metric}.")
        return of_loss(loss)


@dataclass(frozen=True)
class GeneratedLeaf:
    """A weight that modules make: `count` matrices after each other, cut into blocks row of blocks by row of blocks.

    Attributes:
      task: whose model has it.
      path: in the model.
      count: of its matrices: taps of a convolution, gates of an LSTM.
      rows, columns: of each; blocks may hang over its edges.
    """

    task: TaskName
    path: str
    count: int
    rows: int
    columns: int

    def num_blocks(self, block: Block) -> int:
        """How many locations it has."""
        return Matrices(self.path, (), self.count, self.rows, self.columns, 0.0).num_blocks(block)


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
      weights: file of the same models without any of these: plain weights, by task and path; "": none was written.
      sizes: of the generated weights of all tasks together; results of older versions have neither.
      generic: what distinguishes modules that many blocks share, of the last version; older versions did not say it.
    """

    seed: int
    tasks: Mapping[TaskName, MuirTaskResult]
    mapping: tuple[int, ...]
    best_round: int
    best_mapping: tuple[int, ...]
    file: str
    weights: str = ""
    sizes: Sizes | None = None
    generic: Generic | None = None

    @property
    def metric(self) -> str:
        """That of all tasks; "" if they have several."""
        found = {task.metric for task in self.tasks.values()}
        return found.pop() if len(found) == 1 else ""

    def mean_quality(self, *, of_best: bool = False) -> float:
        """On test examples, averaged over the tasks, which have one metric."""
        return math.fsum(task.quality(of_best=of_best) for task in self.tasks.values()) / len(self.tasks)

    def lines(self) -> list[str]:
        """For people: a line, or one for each task if these have several metrics."""
        shared = f"{len(set(self.mapping)):,} modules for {len(self.mapping):,} blocks"
        if self.metric:
            metric = METRICS[self.metric]
            end, best = metric.text(self.mean_quality()), metric.text(self.mean_quality(of_best=True))
            return [
                f"seed {self.seed}: test {self.metric} {end} at the end, {best} of the best version by validation "
                f"(round {self.best_round:,}); mean of {count(len(self.tasks), 'task')}, {metric.words}; {shared}"
            ]
        found = [f"seed {self.seed}: {shared}; best version by validation: round {self.best_round:,}"]
        for name, task in self.tasks.items():
            metric, own = METRICS[task.metric], task.own_best_quality
            alone = (
                "" if own is None else f"; alone best in round {task.own_best_round:,}, validation {metric.text(own)}"
            )
            found.append(
                f"  {name}: test {task.metric} {metric.text(task.quality())} at the end, "
                f"{metric.text(task.quality(of_best=True))} of the best version{alone}; {metric.words}"
            )
        return found


@dataclass(frozen=True)
class MuirResult:
    """What came of a training.

    Attributes:
      replicas: seed by seed.
      num_rounds: how long.
      example_steps: training examples that one replica saw, of all tasks; of a text, pieces of `text_steps` symbols.
      seconds: all starts together, all replicas.
      leaves: in whose order the locations are; results of older versions do not say it.
      measured: of which models validation losses are (`experiment.measured`), while tests are of the winners; "": of an
        older version, which tested what it validated.
    """

    replicas: tuple[MuirReplica, ...]
    num_rounds: int
    example_steps: int
    seconds: float
    leaves: tuple[GeneratedLeaf, ...] = ()
    measured: str = ""

    @property
    def kept(self) -> tuple[str, str]:
        """What is to be read of it, in words, and its file."""
        return "result", "result.json"

    def lines(self) -> list[str]:
        """For people, a line a replica, or for each of its tasks if these have several metrics."""
        return [line for one in self.replicas for line in one.lines()]


MUIR = kinds.named("muir")
