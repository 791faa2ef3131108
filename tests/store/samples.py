"""Small components and journal entries that the store's tests write; everything follows from an index."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from munet.store import FORMAT_VERSION, ComponentStore, Store, component_id
from munet.types import (
    ChildCost,
    ChildEntry,
    ChildPlan,
    ComponentPlan,
    ComponentRecord,
    CycleQualities,
    GenerationEntry,
    JournalEntry,
    Leaf,
    ModelRecord,
    Mutation,
    Position,
    Quality,
    StartEntry,
    TaskInfo,
    Verdict,
)

Component = tuple[ComponentRecord, dict[str, np.ndarray]]


def component(index: int, size: int = 6) -> Component:
    """A head whose bytes follow from `index`."""
    kernel = np.random.Generator(np.random.PCG64(index)).standard_normal((4, size)).astype(np.float32)
    arrays = {"kernel": kernel, "bias": np.full(size, index, np.float32)}
    leaves = {path: Leaf(arrays[path].shape, arrays[path].dtype.name) for path in sorted(arrays)}
    return ComponentRecord("head", leaves, "init", model=index, cycles={"mnist": index}), arrays


def published(index: int) -> list[Component]:
    """The components that entry `index` names: two of its own."""
    return [component(2 * index), component(2 * index + 1)]


def entry(index: int) -> JournalEntry:
    """Entry `index` of a run: the start, then generations."""
    records = {component_id(record, arrays): record for record, arrays in published(index)}
    if index == 0:
        task = TaskInfo("mnist", "tfds:mnist", "abc", ("zero", "one", "দুই"), 10, 5, 5)
        root = ModelRecord(0, None, None, {"learning_rate": 0.1, "flip": True}, {"head": min(records)})
        return StartEntry(FORMAT_VERSION, {"seed": 0, "tasks": ["tfds:mnist"]}, (task,), root, records)
    plan = ChildPlan(
        index,
        "mnist",
        0,
        False,
        {"learning_rate": 0.1 + 0.2, "schedule": "cosine", "flip": False, "image_size": 32},
        (ComponentPlan("head", "init", None, True),),
        (Mutation("hyperparameter", "learning_rate", 0.1, 0.30000000000000004),),
    )
    verdict = Verdict(True, "0.5 on a new task", 0, 1 / 3, None)
    child = ChildEntry(
        plan, CycleQualities((Quality(1, 3),)), verdict, ChildCost(512, 0.25, "p"), {"head": min(records)}
    )
    return GenerationEntry(Position(0, 0, index - 1), "mnist", (child,), records)


def put_published(store: ComponentStore, index: int) -> None:
    """Puts the components that entry `index` names."""
    for record, arrays in published(index):
        store.put(record, arrays)


def records_of(value: JournalEntry) -> Mapping[str, ComponentRecord]:
    """The components that an entry names."""
    assert isinstance(value, StartEntry | GenerationEntry)
    return value.published


def assert_whole(workdir: str) -> None:
    """Every entry is there, and every component that one names."""
    reader = Store.open(workdir)
    for value in reader.journal.entries():
        for identity in records_of(value):
            reader.components.verify(identity)
