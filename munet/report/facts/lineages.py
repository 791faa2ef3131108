"""Who descends from whom, from a journal's entries alone: the children that became models, and what they trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from munet.types import (
    ROOT_MODEL,
    ChildEntry,
    ForgetEntry,
    GenerationEntry,
    JournalEntry,
    ModelId,
    PhaseEntry,
    TaskName,
)


@dataclass(frozen=True)
class Lineage:
    """Training on one task from its first ancestor there to the model retained at the end (Figure 5).

    Attributes:
      qualities: validation accuracy after each cycle; of an ancestor only up to the version that was kept.
      best: index of the cycle whose version was tested.
      test: its test accuracy.
    """

    qualities: tuple[float, ...]
    best: int
    test: float


@dataclass(frozen=True)
class Families:
    """The descent of all models of a journal.

    Attributes:
      children: that were kept, by id.
      last: the end of the last phase of every task, in order of appearance; forgotten tasks have none.
    """

    children: Mapping[ModelId, ChildEntry]
    last: Mapping[TaskName, PhaseEntry]

    def ancestry(self, task: TaskName) -> list[ChildEntry]:
        """From the first child of the root to the task's retained model, whatever tasks they were trained on."""
        chain: list[ChildEntry] = []
        model = self.last[task].retained
        while model != ROOT_MODEL:
            chain.append(self.children[model])
            model = chain[-1].plan.parent
        return chain[::-1]

    def lineage(self, task: TaskName) -> Lineage:
        """The part of it that was trained on the task itself; of a compressed model, what it stands for."""
        chain = [child for child in self.ancestry(task) if child.plan.trains]
        first = next((place for place in range(len(chain), 0, -1) if chain[place - 1].plan.task != task), 0)
        chain = chain[first:]
        before = [
            quality.value for child in chain[:-1] for quality in child.training.qualities[: best_cycle(child) + 1]
        ]
        training = chain[-1].training
        own = [quality.value for quality in training.qualities[: training.diverged_at]]
        return Lineage((*before, *own), len(before) + best_cycle(chain[-1]), self.last[task].test_quality.value)

    def lineages(self) -> dict[TaskName, Lineage]:
        """The lineage of every task's retained model, by task."""
        return {task: self.lineage(task) for task in self.last}

    def led_to_retained(self) -> set[ModelId]:
        """The retained models of all tasks, and all they descend from but the root."""
        return {child.plan.id for task in self.last for child in self.ancestry(task)}


def families(entries: Iterable[JournalEntry]) -> Families:
    """The descent of the models of a journal.

    A compressed model is no child of its own: the one that it stands for is followed.

    Args:
      entries: the journal's, in order.
    """
    children: dict[ModelId, ChildEntry] = {}
    last: dict[TaskName, PhaseEntry] = {}
    for entry in entries:
        if isinstance(entry, GenerationEntry):
            children |= {child.plan.id: child for child in entry.children if child.verdict.is_kept}
        elif isinstance(entry, PhaseEntry):
            last[entry.task] = entry
        elif isinstance(entry, ForgetEntry):
            last.pop(entry.task, None)
    return Families(children, last)


def best_cycle(child: ChildEntry) -> int:
    """The cycle whose version was kept, from 0."""
    return child.verdict.best_cycle or 0


def generations(entries: Sequence[JournalEntry]) -> list[GenerationEntry]:
    """The generations among a journal's entries."""
    return [entry for entry in entries if isinstance(entry, GenerationEntry)]
