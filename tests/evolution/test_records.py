from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from munet.evolution.plan import EARLIER
from munet.evolution.records import MOST_TASKS, new_record, publishes
from munet.types import ChildPlan, ComponentPlan, ComponentRecord, Leaf
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World

TASKS = make_tasks(10, 10)
LEAVES = {"scale": Leaf((64,)), "bias": Leaf((64,))}


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS), TASKS)


def record_of(
    world: World, action: Literal["share", "clone", "init", "resize"], source: str | None, *, trainable: bool = True,
    resized: str | None = None, child: int = 9,
) -> ComponentRecord:  # fmt: skip
    plan = ComponentPlan("encoder_norm", action, source, trainable)
    proposed = ChildPlan(child, "task0", 0, False, {}, (plan,))
    return new_record(world.state(), proposed, plan, 3, LEAVES, resized)


def test_clone_adds_its_cycles_to_those_inherited(world: World) -> None:
    world.components["a"] = replace(world.components["encoder_norm@0"], origin="clone", cycles={"task0": 2, "task1": 5})
    record = record_of(world, "clone", "a")
    assert (record.origin, record.parent, record.model) == ("clone", "a", 9)
    assert record.cycles == {"task0": 6, "task1": 5}  # the cycle retained is the fourth
    assert list(record.leaves) == ["bias", "scale"]
    assert world.components["a"].cycles == {"task0": 2, "task1": 5}


def test_clone_of_the_root_has_only_its_own_cycles(world: World) -> None:
    assert record_of(world, "clone", "encoder_norm@0").cycles == {"task0": 4}


def test_new_component_has_no_parent(world: World) -> None:
    record = record_of(world, "init", None)
    assert (record.origin, record.parent, record.model, record.cycles) == ("init", None, 9, {"task0": 4})


def test_resized_embedding_is_the_same_whoever_makes_it(world: World) -> None:
    records = [record_of(world, "resize", "encoder_norm@0", trainable=False, child=child) for child in (9, 10)]
    assert records[0] == records[1]
    assert records[0].is_root
    assert (records[0].parent, records[0].model, records[0].cycles) == ("encoder_norm@0", 0, {})


def test_trained_resize_is_a_clone_of_the_resized_embedding(world: World) -> None:
    record = record_of(world, "resize", "encoder_norm@0", resized="r")
    assert (record.origin, record.parent, record.model, record.cycles) == ("clone", "r", 9, {"task0": 4})
    assert record_of(world, "resize", "encoder_norm@0").parent == "encoder_norm@0"


def test_shared_component_is_not_published_again(world: World) -> None:
    with pytest.raises(ValueError, match="nothing to publish"):
        record_of(world, "share", "encoder_norm@0", trainable=False)
    assert not publishes(ComponentPlan("cls", "share", "x", False))
    assert publishes(ComponentPlan("cls", "init", None, True))


def test_of_a_long_descent_the_last_tasks_are_listed(world: World) -> None:
    norm = world.components["encoder_norm@0"]
    for count, earlier in ((63, None), (64, 1), (65, 3)):
        cycles = {f"other{i}": i + 1 for i in range(count)}
        world.components["a"] = replace(norm, origin="clone", cycles=cycles)
        record = record_of(world, "clone", "a")
        assert sum(record.cycles.values()) == sum(cycles.values()) + 4
        assert record.cycles.get(EARLIER) == earlier
        assert len(record.cycles) == MOST_TASKS + (earlier is not None)
        assert list(record.cycles)[-1] == "task0"
        world.components["b"] = record  # and so on from there
        again = record_of(world, "clone", "b")
        assert again.cycles == {**record.cycles, "task0": 8}
