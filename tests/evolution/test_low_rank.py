"""Models with layers in low rank: who uses a base, what it is accounted, when it goes, and who may inherit it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from munet.evolution import judging, lookup
from munet.evolution.controller import Controller
from munet.evolution.transitions import close_phase
from munet.types import ComponentId, ComponentPlan, ComponentRecord, Leaf, ModelId, PhaseEntry, Quality
from munet.vit import architecture
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World

TASKS = make_tasks(10, 10, 10)
BLOCK = "encoderblock_1"


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS), TASKS)


def in_low_rank(world: World, model: ModelId, base: ComponentId, rank: int = 2) -> ComponentId:
    """Stores a model's own block in low rank: of the first MLP kernel only, the rest as it is."""
    id = world.models[model].components[BLOCK]
    record = world.components[id]
    kernel = "MlpBlock_3/Dense_0/kernel"
    rows, columns = record.leaves[kernel].shape
    leaves = {path: leaf for path, leaf in record.leaves.items() if path != kernel}
    leaves |= {f"{kernel}/U": Leaf((rows, rank)), f"{kernel}/V": Leaf((rank, columns))}
    leaves = {path: leaves[path] for path in sorted(leaves)}
    world.components[id] = ComponentRecord(BLOCK, leaves, "low_rank", None, model, record.cycles, base)
    return id


def sizes(world: World) -> tuple[int, int]:
    """Parameters of a whole block, and of one in low rank."""
    record = world.components[f"{BLOCK}@0"]
    rows, columns = record.leaves["MlpBlock_3/Dense_0/kernel"].shape
    return record.num_params, record.num_params - rows * columns + 2 * (rows + columns)


def test_a_base_is_accounted_among_all_who_use_it(world: World) -> None:
    """Two tasks have low-rank layers on the root's block, a third has that block itself."""
    models = [world.add("task0", own=[BLOCK]), world.add("task1", own=[BLOCK]), world.add("task2")]
    ids = [in_low_rank(world, model, f"{BLOCK}@0") for model in models[:2]]
    state, (whole, low) = world.state(), sizes(world)
    assert state.num_users[f"{BLOCK}@0"] == 3
    for id, task in zip(ids, ("task0", "task1"), strict=True):
        assert judging.accounted_params(state, [id], task) == pytest.approx(low + whole / 3)
    assert judging.accounted_params(state, [f"{BLOCK}@0"], "task2") == pytest.approx(whole / 3)
    everything = sum(
        judging.accounted_params(state, state.models[model].components.values(), state.models[model].task or "")
        for model in models
    )
    assert everything == pytest.approx(judging.total_params(state))
    assert state.num_other_users(f"{BLOCK}@0", "task0") == 2
    assert state.used_by(state.models[models[0]]).count(f"{BLOCK}@0") == 1


def test_a_child_that_shares_a_low_rank_layer_is_accounted_its_base_too(world: World) -> None:
    model = world.add("task0", own=[BLOCK])
    id = in_low_rank(world, model, f"{BLOCK}@0")
    state, (whole, low) = world.state(), sizes(world)
    controller = Controller(world.experiment, TASKS)
    active = replace(state, position=replace(state.position, task_index=1), seeds=(model,))
    child = controller.ask(active).children[0]
    assert ComponentPlan(BLOCK, "share", id, trainable=False) in child.components
    only = replace(child, components=tuple(plan for plan in child.components if plan.name == BLOCK))
    assert judging.accounted_params_of_child(state, only, world.experiment, 10) == pytest.approx((low + whole) / 2)


def test_children_find_a_low_rank_layer_by_the_shapes_of_the_whole_one(world: World) -> None:
    model = world.add("task0", own=[BLOCK])
    id = in_low_rank(world, model, f"{BLOCK}@0")
    later = world.add("task1", model)
    variant = architecture.get_variant(world.experiment.variant)
    leaves = architecture.model_leaves(variant, BLOCK, world.models[model].hyperparameters, 10)
    state = world.state()
    assert lookup.find(state, later, BLOCK, leaves) == id
    own = lookup.plan_component(state, "task0", model, BLOCK, leaves, inherit=True)
    assert own.action == "share"  # task1 has it too
    alone = World(world.experiment, TASKS)
    model = alone.add("task0", own=[BLOCK])
    id = in_low_rank(alone, model, f"{BLOCK}@0")
    plan = lookup.plan_component(alone.state(), "task0", model, BLOCK, leaves, inherit=True)
    assert plan == ComponentPlan(BLOCK, "clone", id, trainable=True)


def test_a_base_stays_as_long_as_it_is_one(world: World) -> None:
    """The model that it was trained for goes, the one that stands on it stays; then that goes too."""
    old = world.add("task0", own=[BLOCK], active=True)
    other = world.add("task1", own=[BLOCK])
    low = in_low_rank(world, other, f"{BLOCK}@{old}")
    new = world.add("task0", own=[BLOCK], active=True, retained=False, quality=90)
    state = world.state()
    after = close_phase(state, PhaseEntry(state.position, "task0", new, Quality(1, 2)))
    assert old not in after.models
    assert f"{BLOCK}@{old}" in after.components
    assert after.num_users[f"{BLOCK}@{old}"] == 1
    better = replace(after.models[other], id=9, components={**after.models[other].components, BLOCK: f"{BLOCK}@0"})
    active = replace(after, models=after.models.changed({9: better}), active=(9, other))
    active = replace(active, ancestry=type(active.ancestry).of(active.models, active.components))
    end = close_phase(active, PhaseEntry(active.position, "task1", 9, Quality(1, 2)))
    assert low not in end.components
    assert f"{BLOCK}@{old}" not in end.components
    assert f"{BLOCK}@{old}" not in end.num_users
