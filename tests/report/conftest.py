"""Hand-made systems: models over components of a few parameters each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from munet.report.graph.graph import Graph, build
from munet.types import ComponentId, ComponentRecord, Leaf, ModelRecord, Origin, Quality, TaskInfo, TaskName

INPUT = ("embedding", "cls", "posembed_input")


@dataclass
class HandMade:
    """A system under construction; component ids are short words instead of hashes."""

    tasks: list[TaskInfo] = field(default_factory=list)
    models: dict[TaskName, ModelRecord] = field(default_factory=dict)
    components: dict[ComponentId, ComponentRecord] = field(default_factory=dict)
    last: dict[ComponentId, TaskName] = field(default_factory=dict)

    def component(self, id: str, name: str, size: int, cycles: dict[str, int] | None = None) -> str:
        """Adds a component of `size` parameters, trained last on the last task of `cycles`."""
        origin: Origin = "clone" if cycles else "root"
        self.components[id] = ComponentRecord(name, {"kernel": Leaf((size,))}, origin, None, 0, cycles or {})
        if cycles:
            self.last[id] = list(cycles)[-1]
        return id

    def model(self, task: str, quality: Quality, *components: str) -> None:
        """Adds a task whose retained model is the path `components`."""
        info = TaskInfo(task, f"test:{task}", "f", ("a", "b", "c"), 10, 10, 10)
        path = {self.components[id].name: id for id in components}
        self.tasks.append(info)
        self.models[task] = ModelRecord(len(self.tasks), task, 0, {}, path, quality, 0, Quality(1, 2))

    def graph(self) -> Graph:
        """The graph of what was added."""
        return build(self.tasks, self.models, self.components, self.last.get)


@pytest.fixture
def two_tasks() -> HandMade:
    """`one` shares the root's block 0 with `two`; `two` cloned block 1 (trained by both) below an own adapter."""
    made = HandMade()
    root = [made.component(f"{name}-root", name, 10) for name in INPUT]
    block0, block1 = (
        made.component("b0", "encoderblock_0", 100),
        made.component("b1", "encoderblock_1", 100, {"one": 2}),
    )
    clone = made.component("b1-clone", "encoderblock_1", 100, {"one": 2, "two": 3})
    adapter = made.component("a1", "residual_adapter_1", 7, {"two": 3})
    norms = [made.component(f"n-{task}", "encoder_norm", 4, {task: 1}) for task in ("one", "two")]
    heads = [made.component(f"h-{task}", "head", 6, {task: 1}) for task in ("one", "two")]
    made.model("one", Quality(9, 10), *root, block0, block1, norms[0], heads[0])
    made.model("two", Quality(3, 4), *root, block0, adapter, clone, norms[1], heads[1])
    return made


@pytest.fixture
def many_tasks() -> Callable[[int], HandMade]:
    """A function making `count` tasks that clone, insert and share in a fixed irregular pattern over 4 blocks."""

    def make(count: int) -> HandMade:
        made = HandMade()
        root = {name: made.component(f"{name}-root", name, 10) for name in INPUT}
        root |= {f"encoderblock_{i}": made.component(f"b{i}", f"encoderblock_{i}", 100) for i in range(4)}
        paths = [root]
        for number in range(count):
            task = f"script/{number}"
            path = dict(paths[number * number % len(paths)])
            for position, name in enumerate(list(path)):
                if (number * 7 + position * 3) % 5 == 0:
                    path[name] = made.component(f"{name}-{number}", name, 50, {task: 1})
            adapter = f"residual_adapter_{number % 4}"
            if number % 3 == 0:
                path[adapter] = made.component(f"{adapter}-{number}", adapter, 8, {task: 2})
            path["encoder_norm"] = made.component(f"n-{number}", "encoder_norm", 4, {task: 1})
            path["head"] = made.component(f"h-{number}", "head", 6, {task: 1})
            made.model(task, Quality(50 + number, 100), *path.values())
            paths.append(path)
        return made

    return make
