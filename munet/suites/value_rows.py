"""What finished trainings on tasks of values say: a row for each method, seed and task, and their summaries.

Errors, not accuracies: the lower the better. Every number is there for two versions: that of the end of training, and
that of the best mean validation loss before any final generations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from munet.joint.workdir import Workdir
from munet.methods.muir.result import METRICS, MUIR, MuirResult
from munet.suites.summary import Sample

Version = Literal["end", "best"]
VERSIONS: dict[Version, str] = {"end": "at the end", "best": "best validation loss"}


@dataclass(frozen=True)
class ValueRow:
    """One task of one seed of a method.

    Attributes:
      method, title: the method's name in the suite, and what people read.
      seed, task: which.
      metric: what the qualities are; the lower the better.
      end, best: on test examples, of either version.
      end_validation_loss, best_validation_loss: mean losses.
      best_round: of the best version.
      num_modules: that the models of all tasks use together, at the end.
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
            metric=METRICS["value"],
            end=math.sqrt(task.test_loss),
            best=math.sqrt(task.best_test_loss),
            end_validation_loss=task.validation_loss,
            best_validation_loss=task.best_validation_loss,
            best_round=replica.best_round,
            num_modules=len(set(replica.mapping)),
            params=task.params,
            plain_params=int(str(task.extras.get("plain_params", 0))),
            run_seconds=result.seconds,
        )
        for replica in result.replicas
        for name, task in replica.tasks.items()
    ]


def spreads(rows: Sequence[ValueRow], version: Version) -> dict[str, Sample]:
    """The mean error over the tasks, seed by seed, of every method, in the order of the rows."""
    grouped: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        value = row.end if version == "end" else row.best
        grouped.setdefault(row.method, {}).setdefault(row.seed, []).append(value)
    return {
        method: Sample(tuple(math.fsum(values) / len(values) for values in seeds.values()))
        for method, seeds in grouped.items()
    }
