"""A small journal written by hand: two tasks, eight children, and numbers that can be worked out on paper.

one: 1 (seed, of the root), 2 (of the root), 3 (diverged); 4 (of 2), 5 (of 2, worse). Retained: 4.
two: 6 (seed, of 4); 7 (of 6), 8 (of 6, diverged). Retained: 7, whose lineage is 2, 4, 6, 7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from munet import config
from munet.config import Experiment
from munet.evolution.search_space import default_hyperparameters
from munet.store import Store
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
    Origin,
    PhaseEntry,
    Position,
    Quality,
    StartEntry,
    TaskInfo,
    Verdict,
)
from tests.evolution.simulation import make_experiment

ROOT = {
    "embedding": 10, "cls": 10, "posembed_input": 10, "encoderblock_0": 100, "encoderblock_1": 100, "encoder_norm": 4,
}  # fmt: skip
HEAD = 6
SHARES = dict.fromkeys(ROOT, ("share", "root"))


def tasks(names: tuple[str, str] = ("one", "two"), classes: tuple[str, ...] = ("a", "b", "c")) -> tuple[TaskInfo, ...]:
    return tuple(TaskInfo(name, f"npz:/data/{name}.npz", f"print-{name}", classes, 80, 100, 100) for name in names)


def experiment(infos: tuple[TaskInfo, ...]) -> Experiment:
    return make_experiment(
        infos, num_blocks=2, num_generations=2, num_task_iterations=1, children_per_generation=3, cycles_per_child=2
    )


def id_of(name: str, maker: str) -> str:
    return hashlib.sha256(f"{name} {maker}".encode()).hexdigest()


def entries(infos: tuple[TaskInfo, ...] = ()) -> list[JournalEntry]:
    """All entries; equal calls give equal ones."""
    infos = infos or tasks()
    settings = experiment(infos)
    one, two = (info.name for info in infos)
    values = default_hyperparameters(settings)
    faster, fastest = (values | {"learning_rate": rate} for rate in (0.02, 0.05))
    clone_0, clone_1 = Mutation("clone", "encoderblock_0"), Mutation("clone", "encoderblock_1")
    norm = Mutation("clone", "encoder_norm", forced=True)
    stays = Mutation("hyperparameter", "momentum", 0.9, 0.9, effective=False)
    of_2 = SHARES | {"encoderblock_0": ("clone", "2"), "encoder_norm": ("clone", "2"), "head": ("clone", "2")}
    of_4 = SHARES | {"encoderblock_0": ("share", "4"), "encoder_norm": ("share", "4")}
    of_6 = of_4 | {"encoderblock_1": ("clone", "root"), "head": ("clone", "6")}
    new_head: dict[str, tuple[str, str]] = {"head": ("init", "")}
    cloned = SHARES | {"encoderblock_0": ("clone", "root"), "encoder_norm": ("clone", "root")} | new_head
    raised = Mutation("hyperparameter", "learning_rate", 0.01, 0.02)
    again = Mutation("hyperparameter", "learning_rate", 0.02, 0.05)
    adapter = Mutation("insert", "residual_adapter_0")
    children = {
        1: _child(1, one, 0, values, SHARES | new_head, (), (50, 60), best=1, seed=True),
        2: _child(2, one, 0, faster, cloned, (clone_0, norm, raised), (70, 65), best=0),
        3: _child(3, one, 0, values, SHARES | new_head, (stays,), (0, 0), best=None, diverged=0),
        4: _child(4, one, 2, fastest, of_2, (again, norm), (80, 90), best=1),
        5: _child(5, one, 2, faster, of_2, (clone_1,), (60, 60), best=0, kept=False),
        6: _child(6, two, 4, fastest, of_4 | new_head, (), (30, 40), best=1, seed=True),
        7: _child(7, two, 6, fastest, of_6, (clone_1,), (50, 60), best=1),
        8: _child(8, two, 6, fastest, of_6, (adapter,), (20, 10), best=0, kept=False, diverged=1),
    }
    names = list(ROOT)
    root = ModelRecord(0, None, None, values, {name: id_of(name, "root") for name in names})
    records = {
        id_of(name, "root"): ComponentRecord(name, {"kernel": Leaf((size,))}, "root") for name, size in ROOT.items()
    }
    start = StartEntry(
        1,
        config.to_json(settings),
        infos,
        root,
        records,
        {"name": "root.npz", "sha256": "a" * 64},
        versions={"jax": "1"},
    )
    return [
        start,
        _generation(0, 0, one, [children[1], children[2], children[3]]),
        _generation(0, 1, one, [children[4], children[5]]),
        PhaseEntry(
            Position(0, 0, 2), one, 4, Quality(80, 100), (40, 30, 10), (40, 40, 20),
            ((2, 0, 7), (1, 0, 6), (1, 2, 4), (2, 1, 3)),
            (40, 40, 10), (40, 40, 20), ((2, 0, 10),),
        ),
        _generation(1, 0, two, [children[6]]),
        _generation(1, 1, two, [children[7], children[8]]),
        PhaseEntry(
            Position(0, 1, 2), two, 7, Quality(30, 50), (20, 10, 0), (20, 20, 10), ((1, 0, 10), (2, 1, 10)),
            (20, 30, 10), (40, 40, 20), ((0, 1, 20), (1, 0, 10), (2, 0, 10)),
        ),
    ]  # fmt: skip


def write(place: Path, infos: tuple[TaskInfo, ...] = ()) -> None:
    """The journal as a work directory; there are no components, which reports need not."""
    store = Store.create_or_open(place)
    with store.lock():
        for entry in entries(infos):
            store.journal.append(entry)


def _child(
    id: int, task: str, parent: int, values: Mapping[str, Any], path: Mapping[str, tuple[str, str]],
    mutations: tuple[Mutation, ...], right: tuple[int, int], *, best: int | None, kept: bool = True,
    seed: bool = False, diverged: int | None = None,
) -> ChildEntry:  # fmt: skip
    kept = kept and best is not None
    plans = tuple(
        ComponentPlan(name, action, id_of(name, maker) if maker else None, action != "share")  # type: ignore[arg-type]
        for name, (action, maker) in path.items()
    )
    plan = ChildPlan(id, task, parent, seed, values, plans, mutations)
    training = CycleQualities(tuple(Quality(number, 100) for number in right), diverged)
    reason = "kept" if kept else "never beat its parent's" if best is not None else "no cycle gave a finite result"
    score = None if best is None else right[best] / 100
    ids = {name: id_of(name, maker if action == "share" else str(id)) for name, (action, maker) in path.items()}
    cost = ChildCost(100 * id, float(id))
    return ChildEntry(plan, training, Verdict(kept, reason, best, score), cost, ids if kept else {})


_CYCLES = {1: 2, 2: 1, 4: 3, 6: 2, 7: 4}  # of training on the own task, of what each published; of 7's block 2


def _generation(index: int, generation: int, task: str, children: list[ChildEntry]) -> GenerationEntry:
    published = {}
    for child in children:
        for plan in child.plan.components if child.verdict.is_kept else ():
            if plan.action != "share":
                cycles = {task: 2 if plan.name == "encoderblock_1" else _CYCLES[child.plan.id]}
                leaves = {"kernel": Leaf((ROOT.get(plan.name, HEAD),))}
                origin: Origin = "init" if plan.action == "init" else "clone"
                record = ComponentRecord(plan.name, leaves, origin, plan.source, child.plan.id, cycles)
                published[child.components[plan.name]] = record
    return GenerationEntry(Position(0, index, generation), task, tuple(children), published)
