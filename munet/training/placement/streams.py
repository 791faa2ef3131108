"""Which children of a generation see the same batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from munet import rng
from munet.evolution.search_space import DATA_SETTINGS
from munet.training.work import TaskWork
from munet.types import ChildPlan, GenerationPlan
from munet.vit.architecture import HEAD


@dataclass(frozen=True)
class Stream:
    """Children that see the same batches: the same images in the same order, augmented alike.

    Attributes:
      path: key of the batches; streams that differ in data settings alone have the same.
      children: all that see them, in the order that the members of chunks index.
    """

    path: rng.Path
    children: tuple[ChildPlan, ...]

    @property
    def image_size(self) -> int:
        """Of all its children, in pixels on a side: it is a data setting."""
        return int(self.children[0].hyperparameters["image_size"])


def streams_of(generation: GenerationPlan, work: TaskWork) -> list[Stream]:
    """The streams of a generation, ordered by their first children.

    Replicas of a baseline have one each; other children share one if their data settings are equal. But of children
    that are equal in all, which would end as the same bits, only the first does where a stage tells them apart.
    """
    position = generation.position
    path: rng.Path = (work.seed, position.task_iteration, generation.task, position.generation, "batches")
    if work.has_own_batches:
        return [Stream((*path, "child", index), (child,)) for index, child in enumerate(generation.children)]
    found: dict[tuple[int, tuple[object, ...]], list[ChildPlan]] = {}
    equal: Counter[tuple[object, ...]] = Counter()
    for child in generation.children:
        key = _all_that_decides(child)
        copy = equal[key] if work.tells_copies_apart else 0
        equal[key] += 1
        settings = tuple(child.hyperparameters[name] for name in DATA_SETTINGS)
        found.setdefault((copy, settings), []).append(child)
    return [Stream((*path, "copy", copy) if copy else path, tuple(children)) for (copy, _), children in found.items()]


def _all_that_decides(child: ChildPlan) -> tuple[object, ...]:
    """Equal for children that would end as the same bits if they saw the same batches."""
    drawn = any(plan.action == "init" and plan.name != HEAD for plan in child.components)  # by their ids
    settings = tuple(sorted(child.hyperparameters.items()))
    return (child.parent, settings, child.components, child.id if drawn else None)
