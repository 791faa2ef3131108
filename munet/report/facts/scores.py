"""What every child scored, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from munet.report.facts.lineages import generations
from munet.types import JournalEntry, ModelId, PhaseEntry, TaskName


@dataclass(frozen=True)
class Scored:
    """A child with a finite result.

    Attributes:
      id: the model's.
      task: that it was trained on.
      score: Eq. 2 as its verdict had it, with the sharing of that time.
      is_kept: whether it was better than its parent, or compressed and no worse than it may be.
      is_retained: whether it was a task's best at the end of a phase.
    """

    id: ModelId
    task: TaskName
    score: float
    is_kept: bool
    is_retained: bool


def scored(entries: Sequence[JournalEntry]) -> list[Scored]:
    """Every child of a journal with a finite result, in order."""
    retained = {entry.retained for entry in entries if isinstance(entry, PhaseEntry)}
    return [
        Scored(child.plan.id, child.plan.task, score, child.verdict.is_kept, child.plan.id in retained)
        for generation in generations(entries)
        for child in generation.children
        if (score := child.verdict.score) is not None
    ]
