"""What finished trainings on tasks of values say: a row for each method, seed and task, and their summaries.

Each task has a metric, and that says whether higher or lower is better. Every number is there for two versions: that of
the end of training, and that of the best mean validation loss before any final generations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from munet.intervals import Interval
from munet.joint.workdir import Workdir
from munet.methods.muir.metrics import METRICS
from munet.methods.muir.result import MUIR, MuirResult
from munet.suites.paired import over_seeds
from munet.suites.summary import Sample

Version = Literal["end", "best"]
VERSIONS: dict[Version, str] = {"end": "at the end", "best": "best validation loss"}


@dataclass(frozen=True)
class ValueRow:
    """One task of one seed of a method.

    Attributes:
      method, title: the method's name in the suite, and what people read.
      seed, task: which.
      metric: what the qualities are.
      end, best: on test examples, of either version.
      end_validation_loss, best_validation_loss: mean losses.
      best_round: of the best version.
      num_modules: that the models of all tasks use together, at the end.
      blocks, size, folded_size, plain_size: blocks of all tasks, and numbers in their generated weights: as modules and
        contexts, with those that are no cheaper as blocks, and as plain weights; 0 in results of older versions.
      params, plain_params: of the task's model, shared ones in full, and of the same model without modules.
      run_seconds: of training all seeds of the method, all starts together.
    """

    method: str
    title: str
    seed: int
    task: str
    metric: str
    end: float
    best: float
    end_validation_loss: float
    best_validation_loss: float
    best_round: int
    num_modules: int
    blocks: int
    size: int
    folded_size: int
    plain_size: int
    params: int
    plain_params: int
    run_seconds: float


def rows_of(workdir: str, method: str, title: str) -> list[ValueRow] | None:
    """The rows of a training; None if it is not complete.

    Raises:
      UserError: it is damaged.
    """
    result = Workdir(workdir, MUIR).result()
    if not isinstance(result, MuirResult):
        return None
    return [
        ValueRow(
            method=method,
            title=title,
            seed=replica.seed,
            task=name,
            metric=task.metric,
            end=task.quality(),
            best=task.quality(of_best=True),
            end_validation_loss=task.validation_loss,
            best_validation_loss=task.best_validation_loss,
            best_round=replica.best_round,
            num_modules=len(set(replica.mapping)),
            blocks=len(replica.mapping),
            size=replica.sizes.modules if replica.sizes else 0,
            folded_size=replica.sizes.folded if replica.sizes else 0,
            plain_size=replica.sizes.plain if replica.sizes else 0,
            params=task.params,
            plain_params=int(str(task.extras.get("plain_params", 0))),
            run_seconds=result.seconds,
        )
        for replica in result.replicas
        for name, task in replica.tasks.items()
    ]


def spreads(rows: Sequence[ValueRow], version: Version) -> dict[str, Sample]:
    """The mean quality over the tasks, seed by seed, of every method, in the order of the rows."""
    grouped: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        value = row.end if version == "end" else row.best
        grouped.setdefault(row.method, {}).setdefault(row.seed, []).append(value)
    return {
        method: Sample(tuple(math.fsum(values) / len(values) for values in seeds.values()))
        for method, seeds in grouped.items()
    }


@dataclass(frozen=True)
class Gain:
    """How much better a method is at one task than the method that it is compared with, paired by seed.

    Attributes:
      method, title, task: which.
      metric: of the task; a gain is positive where the method is better, whatever the metric.
      values: of every seed that both have.
    """

    method: str
    title: str
    task: str
    metric: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def interval(self) -> Interval | None:
        """Student's t interval over the seeds; None where they tell nothing."""
        return over_seeds(np.array(self.values))


def gains(rows: Sequence[ValueRow], against: str, version: Version) -> list[Gain]:
    """Every other method's gains on `against`, task by task, in the order of the rows."""

    def qualities(method: str, task: str) -> dict[int, float]:
        own = [row for row in rows if (row.method, row.task) == (method, task)]
        return {row.seed: row.end if version == "end" else row.best for row in own}

    found = []
    for row in {(row.method, row.task): row for row in rows if row.method != against}.values():
        base, own = qualities(against, row.task), qualities(row.method, row.task)
        sign = 1 if METRICS[row.metric].is_higher_better else -1
        values = tuple(sign * (own[seed] - base[seed]) for seed in own if seed in base)
        if values:
            found.append(Gain(row.method, row.title, row.task, row.metric, values))
    return found
