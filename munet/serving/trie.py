"""What the models of several tasks have in common from the input on: a trie over component ids; plain Python, no JAX.

Only prefixes can be shared, since a layer's output depends on everything before it. A path begins with the image size
and ends in the task's norm and head, which see one token only and cost next to nothing. Steps that no path parts
between are one segment, which runs as one program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from munet.system.view import RunView
from munet.types import ComponentId, ComponentName, ModelRecord, TaskName
from munet.vit import architecture, flops


@dataclass(frozen=True)
class Step:
    """A component on a path, and what makes its output differ where the component is the same.

    Attributes:
      name: the component's name.
      id: the component.
      update: of a block: its low-rank update, if it has one.
      is_last: of a block: whether none comes after it. It attends for the class token alone then, so a block that is
        the last of one task and an inner one of another gives two different outputs: two steps.
      flops: operations of one image, see `munet.vit.flops.forward`; follows from the others.
    """

    name: ComponentName
    id: ComponentId
    update: ComponentId | None
    is_last: bool
    flops: int = field(compare=False)


class End(NamedTuple):
    """What a task makes of the class token behind its last block.

    Attributes:
      task: the task.
      norm, head: the components.
      flops: operations of one image.
    """

    task: TaskName
    norm: ComponentId
    head: ComponentId
    flops: int


@dataclass(frozen=True)
class Segment:
    """Steps that the same tasks go through, and where their paths part.

    Attributes:
      steps: from the input on, at least one.
      tasks: all whose paths lead through it.
      ends: of all of them if the last step is their last block, side by side on one output; else none.
      branches: where the paths go on otherwise.
    """

    steps: tuple[Step, ...]
    tasks: frozenset[TaskName]
    ends: tuple[End, ...]
    branches: tuple[Segment, ...]

    def walk(self) -> Iterator[Segment]:
        """This segment and all behind it, each after the one that leads to it."""
        yield self
        for branch in self.branches:
            yield from branch.walk()


@dataclass(frozen=True)
class Trie:
    """The paths of some tasks.

    Attributes:
      tasks: in the order given.
      trees: where paths begin, by image size.
    """

    tasks: tuple[TaskName, ...]
    trees: Mapping[int, tuple[Segment, ...]]

    def segments(self) -> Iterator[Segment]:
        """All segments, each after the one that leads to it."""
        for segments in self.trees.values():
            for segment in segments:
                yield from segment.walk()

    @property
    def flops(self) -> int:
        """Operations of one image on its way through all tasks' models, what they share once."""
        steps = sum(step.flops for segment in self.segments() for step in segment.steps)
        return steps + sum(end.flops for segment in self.segments() for end in segment.ends)


def build(system: RunView, tasks: Sequence[TaskName]) -> Trie:
    """The trie of some tasks' retained models.

    Args:
      system: of `munet.open`.
      tasks: solved tasks, each once.

    Raises:
      UserError: no such task, or no model yet.
    """
    paths: dict[int, dict[TaskName, _Path]] = {}
    for task in tasks:
        model = system.model(task)
        size = int(model.hyperparameters["image_size"])
        paths.setdefault(size, {})[task] = _path(system, task, model)
    return Trie(tuple(tasks), {size: _segments(paths[size], 0) for size in sorted(paths)})


class _Path(NamedTuple):
    steps: tuple[Step, ...]
    end: End


def _path(system: RunView, task: TaskName, model: ModelRecord) -> _Path:
    """A task's way from the embedding to its head."""
    variant, components = architecture.get_variant(system.experiment.variant), model.components
    products = flops.products(variant, components, model.hyperparameters, system.task(task).num_classes)
    num_blocks = sum(map(architecture.is_block, components))
    steps = []
    *names, norm, head = architecture.path_names(num_blocks, adapters=range(num_blocks))
    for name in names:
        if name not in components:
            continue  # no adapter before this block
        lora = architecture.lora_name(architecture.layer_index(name) or 0) if architecture.is_block(name) else ""
        cost = sum(products.get(name, ())) + sum(products.get(lora, ()))
        is_last = name == architecture.block_name(num_blocks - 1)
        steps.append(Step(name, components[name], components.get(lora), is_last, cost))
    return _Path(tuple(steps), End(task, components[norm], components[head], sum(products[head])))


def _segments(paths: Mapping[TaskName, _Path], start: int) -> tuple[Segment, ...]:
    """The segments that paths which are equal before step `start` go on with."""
    groups: dict[Step, dict[TaskName, _Path]] = {}
    for task, path in paths.items():
        groups.setdefault(path.steps[start], {})[task] = path
    return tuple(_segment(group, start) for group in groups.values())


def _segment(paths: Mapping[TaskName, _Path], start: int) -> Segment:
    """The longest segment from step `start`, which all paths share, and what is behind it."""
    first, *others = (path.steps for path in paths.values())
    end = start + 1  # a last block is the last of all paths that it is on, so none of them is shorter than another here
    while end < len(first) and all(steps[end] == first[end] for steps in others):
        end += 1
    is_end = end == len(first)
    ends = tuple(path.end for path in paths.values()) if is_end else ()
    return Segment(first[start:end], frozenset(paths), ends, () if is_end else _segments(paths, end))
