"""What a joint training has beside its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from munet.types import PhaseEntry, TaskName


@dataclass(frozen=True)
class JointRecord:
    """What a joint training has beside its models; an evolved run has no such record.

    Attributes:
      title: what was trained: "Joint fine-tuning".
      rounds: up to the last measurement.
      num_rounds: of the whole training; 0: not known before its end.
      replicas: seeds, of which the first one's models are shown.
      seed: of the first.
      seconds: of training, all starts and replicas together.
      settings: the `experiment` part of the config, as JSON values.
      closed: what was measured of each task's model, once complete.
    """

    title: str
    rounds: int
    num_rounds: int
    replicas: int
    seed: int
    seconds: float
    settings: Mapping[str, object]
    closed: Mapping[TaskName, PhaseEntry]
