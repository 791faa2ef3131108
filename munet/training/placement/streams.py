"""Which children of a generation see the same batches."""

from __future__ import annotations

from dataclasses import dataclass

from munet import rng
from munet.evolution.search_space import DATA_SETTINGS
from munet.training.work import TaskWork
from munet.types import ChildPlan, GenerationPlan


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

    Replicas of a baseline have one each; other children share one if their data settings are equal.
    """
    position = generation.position
    path: rng.Path = (work.seed, position.task_iteration, generation.task, position.generation, "batches")
    if work.has_own_batches:
        return [Stream((*path, "child", index), (child,)) for index, child in enumerate(generation.children)]
    found: dict[tuple[object, ...], list[ChildPlan]] = {}
    for child in generation.children:
        found.setdefault(tuple(child.hyperparameters[name] for name in DATA_SETTINGS), []).append(child)
    return [Stream(path, tuple(children)) for children in found.values()]
