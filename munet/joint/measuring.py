"""A point of the curve: every task measured on its validation split, and the losses of training since the last one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from munet.joint.held_out import Measured, predict
from munet.joint.job import Job
from munet.joint.learner import StreamName
from munet.joint.program import Programs
from munet.joint.records import CurvePoint
from munet.types import TaskName


def validate(job: Job, programs: Programs, state: Any) -> Mapping[TaskName, Sequence[Measured]]:
    """What each task has on its validation split, replica by replica."""
    if job.measure_all is not None:
        return job.measure_all(programs, state, "validation")
    return {
        name: [one.of(split.labels) for one in predict(programs, state, name, split, job.resize[name])]
        for name, split in job.validation.items()
    }


def points(
    job: Job,
    measured: Mapping[TaskName, Sequence[Measured]],
    loss_sums: Sequence[Mapping[StreamName, Any]],
    step: int,
    rounds: int,
    seconds: float,
) -> Iterator[CurvePoint]:
    """The points of all replicas at a step.

    Args:
      job: what is trained on what.
      measured: what `validate` gave.
      loss_sums: of training, since the last points, of each replica.
      step: rounds that have passed.
      rounds: of them, those since the last points.
      seconds: that training has taken.
    """
    for replica in range(len(job.seeds)):
        own = {name: found[replica] for name, found in measured.items()}
        training = {name: float(total) / rounds for name, total in loss_sums[replica].items()}
        yield CurvePoint(
            step=step,
            epoch=step * job.images_per_round / job.num_images,
            learning_rate=job.learner.learning_rate(step - 1),
            training_loss=math.fsum(training.values()) / len(training),
            validation_loss=_validation_loss(job, own.values()),
            validation={name: one.quality for name, one in own.items() if one.quality is not None},
            seconds=seconds,
            replica=replica,
            training_losses=training,
            validation_losses={name: one.loss for name, one in own.items()},
        )


def _validation_loss(job: Job, measured: Collection[Measured]) -> float:
    """Over the images of all tasks; where tasks are of any kind the mean over tasks, which the best version has."""
    if job.measure_all is not None:
        return math.fsum(one.loss for one in measured) / len(measured)
    return sum(one.loss * one.counted for one in measured) / sum(one.counted for one in measured)
