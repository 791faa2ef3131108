"""What is known of a run before its end: the best so far of a task that has no model yet, and the time that is left."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from munet.evolution.state import EvolutionError
from munet.system.view import RunView
from munet.types import GenerationEntry, ModelRecord, TaskName

_RECENT = 16  # journal entries whose generations say how fast the run is


@dataclass(frozen=True)
class Unfinished:
    """The active task, whose first phase has not ended.

    Attributes:
      task: its name.
      best: the model that would be retained if the phase ended now; None: no child is judged yet, or none is sound.
      generations: judged in this phase.
      num_generations: of the phase.
    """

    task: TaskName
    best: ModelRecord | None
    generations: int
    num_generations: int


def unfinished(system: RunView) -> Unfinished | None:
    """The active task if it has no model yet; None if it has, or the run is complete; joint training has none."""
    task = system.active_task
    if task is None or task in system.models or system.joint is not None:
        return None
    try:
        best = system.controller.best(system.state)
    except EvolutionError:
        best = None
    return Unfinished(task, best, system.position.generation, len(system.controller.settings(system.state).stages))


def seconds_left(system: RunView) -> float | None:
    """Training time to the end of the run, about, at the pace of the last generations; None where that is not known.

    The pace is a median, so that a generation whose programs had to be compiled first does not count.
    """
    if system.is_complete:
        return None
    if (joint := system.joint) is not None:
        left = joint.num_rounds - joint.rounds  # below 0: the length is known in epochs only
        return left * joint.seconds / joint.rounds if joint.rounds and left >= 0 else None
    paces = []
    for entry in system.store.journal.entries(max(system.run_state.length - _RECENT, 1)):
        if isinstance(entry, GenerationEntry) and (images := sum(child.cost.image_steps for child in entry.children)):
            paces.append(sum(child.cost.seconds for child in entry.children) / images)
    pace = statistics.median(paces) if paces else 0.0
    images_left = system.plan.images() - system.run_state.image_steps
    return max(images_left, 0) * pace if pace else None
