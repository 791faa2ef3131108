"""The layer graph of a system (paper Fig. 2 and 9) as a value; `render.py` writes and draws it.

Bottom: the tasks. Top: their heads, labelled with validation accuracy; the encoder norm is part of the head. Between
them: components, each once, in the layer that its name says; edges are the tasks' paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from munet.system.view import RunView
from munet.types import (
    ComponentId,
    ComponentName,
    ComponentRecord,
    ModelId,
    ModelRecord,
    Origin,
    Quality,
    TaskInfo,
    TaskName,
)
from munet.vit import architecture

_INPUTS = (architecture.EMBEDDING, architecture.CLS, architecture.POSITION)
IN_HEAD = (architecture.NORM, architecture.HEAD)
_INPUT_LABELS = {
    architecture.EMBEDDING: "embedding",
    architecture.CLS: "class token",
    architecture.POSITION: "position",
}


@dataclass(frozen=True)
class Part:
    """A component as a node shows it; one that is stored in low rank, with the base that it is added to."""

    id: ComponentId
    name: ComponentName
    params: int
    origin: Origin
    cycles: Mapping[TaskName, int]  # training cycles per task, inherited ones included
    base: Part | None = None


@dataclass(frozen=True)
class Node:
    """A task, a component (or input components always used together), or a head with its norm.

    Attributes:
      id: unique in the graph and stable while the system does not change.
      kind: `task`, `component` or `head`.
      layer: index into `Graph.layers`, 0 at the bottom.
      parts: the components it stands for; none for a task.
      tasks: the tasks whose paths lead through it, in the run's order.
      trained_last: the task that trained it last; None if it still carries root parameters.
    """

    id: str
    kind: Literal["task", "component", "head"]
    layer: int
    parts: tuple[Part, ...]
    tasks: tuple[TaskName, ...]
    trained_last: TaskName | None = None

    @property
    def params(self) -> int:
        """Parameters of all its components."""
        return sum(part.params for part in self.parts)

    @property
    def num_tasks_trained(self) -> int:
        """Distinct tasks in the training history: the paper's (n)."""
        return len({task for part in self.parts for task in part.cycles})


@dataclass(frozen=True)
class Edge:
    """One step of one task's path, upwards."""

    source: str
    target: str
    task: TaskName


@dataclass(frozen=True)
class GraphTask:
    """A task of the graph and the measurements of its retained model; its number decides its colour."""

    name: TaskName
    number: int
    num_classes: int
    model: ModelId
    quality: Quality
    test_quality: Quality | None

    def measured(self) -> tuple[str, str]:
        """What its head shows: `val 98.2%` and `test 97.9%`, or `not tested`."""
        tested = f"test {self.test_quality.value:.1%}" if self.test_quality else "not tested"
        return f"val {self.quality.value:.1%}", tested


@dataclass(frozen=True, repr=False)
class Graph:
    """The retained models of a system as one layered graph; every node lies in exactly one layer."""

    tasks: tuple[GraphTask, ...]
    layers: tuple[str, ...]  # names for people, bottom to top: "task", "input", "block 0", ..., "head"
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def num_params(self) -> int:
        """Unique parameters in use, each once: a norm that two heads share, and a base that no path shows."""
        shown = [part for node in self.nodes for part in node.parts]
        bases = [part.base for part in shown if part.base is not None]
        return sum({part.id: part.params for part in (*shown, *bases)}.values())

    @property
    def num_shared(self) -> int:
        """Components on the paths of more than one task."""
        users: dict[ComponentId, set[TaskName]] = {}
        for node in self.nodes:
            for part in node.parts:
                users.setdefault(part.id, set()).update(node.tasks)
        return sum(len(tasks) > 1 for tasks in users.values())

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        from munet.report.graph.svg import to_svg

        return to_svg(self)

    def __repr__(self) -> str:
        tasks, shared = ", ".join(task.name for task in self.tasks), self.num_shared
        return f"Graph(tasks {tasks}; {self.num_params:,} parameters, {shared} components shared)"

    def node(self, node_id: str) -> Node:
        """The node called `node_id`."""
        return next(node for node in self.nodes if node.id == node_id)


def build(
    tasks: Sequence[TaskInfo],
    models: Mapping[TaskName, ModelRecord],
    components: Mapping[ComponentId, ComponentRecord],
    trained_last: Callable[[ComponentId], TaskName | None],
    numbers: Mapping[TaskName, int] | None = None,
) -> Graph:
    """The graph of the retained `models`; tasks without one are left out.

    Args:
      tasks: in the run's order.
      models: the retained model of each task.
      components: at least every component that they use, bases too.
      trained_last: which task trained a component last, None for the root's.
      numbers: of the tasks, as `Plan.numbers` has them; None: their places in `tasks`.
    """
    numbers = {info.name: place for place, info in enumerate(tasks)} if numbers is None else numbers
    infos = [info for info in tasks if info.name in models]
    rows, layers = rows_of([models[info.name] for info in infos], trained_last)

    nodes: dict[str, Node] = {}
    edges: list[Edge] = []

    def visit(node_id: str, kind: Literal["task", "component", "head"], layer: int, ids: list[ComponentId]) -> None:
        known = nodes.get(node_id)
        parts = tuple(part_of(component, components) for component in ids)
        last = next((task for task in map(trained_last, reversed(ids)) if task is not None), None)
        users = (*known.tasks, task) if known else (task,)
        nodes[node_id] = Node(node_id, kind, layer, parts, users, last)

    for info in infos:
        task, model = info.name, models[info.name]
        path = [f"task:{task}"]
        visit(path[0], "task", 0, [])
        for layer, row in enumerate(rows, start=1):
            if row[0] in model.components:
                ids = [model.components[name] for name in row]
                path.append(f"component:{ids[0]}")
                visit(path[-1], "component", layer, ids)
        path.append(f"head:{task}")
        visit(path[-1], "head", len(rows) + 1, [model.components[name] for name in IN_HEAD])
        edges += [Edge(source, target, task) for source, target in pairwise(path)]

    shown = tuple(_graph_task(info, numbers[info.name], models[info.name]) for info in infos)
    return Graph(shown, layers, tuple(sorted(nodes.values(), key=lambda node: node.layer)), tuple(edges))


def rows_of(
    models: Sequence[ModelRecord], trained_last: Callable[[ComponentId], TaskName | None]
) -> tuple[list[tuple[ComponentName, ...]], tuple[str, ...]]:
    """The layers between task and head, each with the components that are one box in it, and all layers' names.

    Args:
      models: all that are to be drawn in one picture.
      trained_last: which task trained a component last, None for the root's.
    """
    groups = _input_groups(models, trained_last)
    rows = [*groups, *((name,) for name in _inner_names(models))]
    return rows, ("task", *(_row_label(row, groups) for row in rows), "head")


def of_run(run: RunView) -> Graph:
    """The graph of the models that a run retains at present."""
    return build(run.tasks, run.models, run.components, run.trained_last, run.plan.numbers)


def part_of(component: ComponentId, components: Mapping[ComponentId, ComponentRecord]) -> Part:
    """What a node shows of a component."""
    record = components[component]
    base = None if record.base is None else part_of(record.base, components)
    return Part(component, record.name, record.num_params, record.origin, dict(record.cycles), base)


def _graph_task(info: TaskInfo, number: int, model: ModelRecord) -> GraphTask:
    if model.quality is None:
        raise ValueError(f"model {model.id} of task {info.name} was never validated")
    return GraphTask(info.name, number, info.num_classes, model.id, model.quality, model.test_quality)


def _input_groups(
    models: Sequence[ModelRecord], trained_last: Callable[[ComponentId], TaskName | None]
) -> list[tuple[ComponentName, ...]]:
    """Neighbouring input components that every model uses in the same combination, with the same colour, are one."""
    groups: list[tuple[ComponentName, ...]] = []
    for name in _INPUTS:
        if groups and _looks_same(models, groups[-1][0], name, trained_last):
            groups[-1] = (*groups[-1], name)
        else:
            groups.append((name,))
    return groups if models else []


def _looks_same(
    models: Sequence[ModelRecord],
    first: ComponentName,
    second: ComponentName,
    trained_last: Callable[[ComponentId], TaskName | None],
) -> bool:
    pairs = {(model.components[first], model.components[second]) for model in models}
    is_one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    return is_one_to_one and all(trained_last(a) == trained_last(b) for a, b in pairs)


def _inner_names(models: Iterable[ModelRecord]) -> list[ComponentName]:
    """What lies between input and head, bottom to top: an adapter and a low-rank update directly below their block."""
    names = {name for model in models for name in model.components} - {*_INPUTS, *IN_HEAD}
    return sorted(names, key=lambda name: (architecture.layer_index(name) or 0, _KINDS.index(_kind(name))))


def _row_label(row: tuple[ComponentName, ...], groups: Sequence[tuple[ComponentName, ...]]) -> str:
    if row in groups:
        return "input" if len(groups) == 1 else " + ".join(_INPUT_LABELS[name] for name in row)
    return f"{_kind(row[0])} {architecture.layer_index(row[0])}"


_KINDS = ("adapter", "LoRA", "block")  # bottom to top


def _kind(name: ComponentName) -> str:
    if architecture.is_block(name):
        return "block"
    return "LoRA" if architecture.is_lora(name) else "adapter"
