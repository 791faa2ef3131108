"""What a run cost and what came of it: images, seconds and children by generation and by task; children that failed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from munet.report.facts.lineages import generations
from munet.types import ChildEntry, GenerationEntry, JournalEntry, ModelId, SeedsEntry, TaskName


@dataclass(frozen=True)
class Cost:
    """Of a generation, or of all of a task's.

    Attributes:
      task: that was active.
      children: trained.
      kept: of them, better than their parents.
      failed: of them, those whose parameters or loss were no longer finite.
      image_steps: training images that all of them saw; forward passes in part.
      seconds: of training, wall time on however many devices.
    """

    task: TaskName
    children: int
    kept: int
    failed: int
    image_steps: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A child that diverged.

    Attributes:
      task, iteration, generation: when it was trained; the two numbers count from 1.
      model: its id.
      parent: its parent's.
      cycle: in which it diverged, from 1.
      cycles: that it should have trained.
      kept: whether a version from before that was kept.
      reason: the verdict's.
      mutations: of the child, in words.
    """

    task: TaskName
    iteration: int
    generation: int
    model: ModelId
    parent: ModelId
    cycle: int
    cycles: int
    kept: bool
    reason: str
    mutations: str


def by_generation(entries: Sequence[JournalEntry]) -> list[Cost]:
    """Of every generation, in order; the estimates of seed parents count with the generation that follows them."""
    costs, waiting = [], 0
    for entry in entries:
        if isinstance(entry, SeedsEntry):
            waiting += entry.image_steps
        elif isinstance(entry, GenerationEntry):
            costs.append(_of(entry.task, entry.children, waiting))
            waiting = 0
    return costs


def by_task(costs: Iterable[Cost]) -> list[Cost]:
    """The same added up by task, in order of appearance."""
    groups: dict[TaskName, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(cost.task, []).append(cost)
    return [
        Cost(
            task,
            sum(cost.children for cost in own),
            sum(cost.kept for cost in own),
            sum(cost.failed for cost in own),
            sum(cost.image_steps for cost in own),
            math.fsum(cost.seconds for cost in own),
        )
        for task, own in groups.items()
    ]


def failures(entries: Sequence[JournalEntry]) -> list[Failure]:
    """Every child that diverged, in order."""
    return [
        Failure(
            generation.task,
            generation.position.task_iteration + 1,
            generation.position.generation + 1,
            child.plan.id,
            child.plan.parent,
            child.training.diverged_at + 1,
            len(child.training.qualities),
            child.verdict.is_kept,
            child.verdict.reason,
            ", ".join(mutation.describe() for mutation in child.plan.mutations if mutation.effective),
        )
        for generation in generations(entries)
        for child in generation.children
        if child.training.diverged_at is not None
    ]


def _of(task: TaskName, children: Sequence[ChildEntry], more_images: int) -> Cost:
    return Cost(
        task,
        len(children),
        sum(child.verdict.is_kept for child in children),
        sum(child.training.diverged_at is not None for child in children),
        more_images + sum(child.cost.image_steps for child in children),
        math.fsum(child.cost.seconds for child in children),
    )
