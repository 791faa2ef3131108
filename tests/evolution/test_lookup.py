from __future__ import annotations

from dataclasses import replace

import pytest

from munet.evolution import lookup
from munet.evolution.state import EvolutionError, State
from munet.types import ComponentPlan, ComponentRecord, Leaf, ModelId
from munet.vit import architecture
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World

TASKS = make_tasks(10, 10, 20)


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS), TASKS)


def leaves(name: str, *, image_size: int = 32, adapter_dim: int = 32, num_classes: int = 10) -> dict[str, Leaf]:
    variant = architecture.get_variant("demo/16")
    return architecture.component_leaves(
        variant, name, image_size=image_size, adapter_dim=adapter_dim, num_classes=num_classes
    )


def plan(state: State, parent: ModelId, name: str, *, inherit: bool = True, **sizes: int) -> ComponentPlan:
    return lookup.plan_component(state, "task0", parent, name, leaves(name, **sizes), inherit=inherit)


def test_nearest_of_the_name_and_shapes_wins(world: World) -> None:
    first = world.add("task1", adapters=[0], adapter_dim=16, own=["encoderblock_1"])
    second = world.add("task2", first, adapters=[0], adapter_dim=32, own=["residual_adapter_0"])
    state = world.state()
    name = "residual_adapter_0"
    assert lookup.find(state, second, name, leaves(name, adapter_dim=32)) == f"{name}@{second}"
    assert lookup.find(state, second, name, leaves(name, adapter_dim=16)) == f"{name}@{first}"
    assert lookup.find(state, second, name, leaves(name, adapter_dim=64)) is None
    assert lookup.find(state, second, "residual_adapter_1", leaves("residual_adapter_1")) is None
    assert lookup.find(state, second, "encoderblock_1", leaves("encoderblock_1")) == f"encoderblock_1@{first}"
    assert lookup.find(state, second, "encoderblock_2", leaves("encoderblock_2")) == "encoderblock_2@0"


def test_head_falls_back_to_an_ancestor_of_the_same_task(world: World) -> None:
    own = world.add("task0", active=True)
    other = world.add("task1", own)  # as many classes, but locked by task1
    state = world.state()
    assert plan(state, other, "head") == ComponentPlan("head", "clone", f"head@{own}", trainable=True)
    assert plan(state, other, "head", inherit=False).source == f"head@{own}"  # of seed children too


def test_head_is_new_without_such_an_ancestor(world: World) -> None:
    other = world.add("task1")
    for parent in (0, other):
        assert plan(world.state(), parent, "head") == ComponentPlan("head", "init", None, trainable=True)
    own = world.add("task0", active=True)
    assert plan(world.state(), own, "head", num_classes=11).action == "init"


def test_locks_decide_between_sharing_and_copying(world: World) -> None:
    own = world.add("task0", own=["encoderblock_0", "encoderblock_1"], active=True)
    world.add("task1", own)
    unlocked = world.add("task0", own, own=["encoderblock_1"], retained=False, active=True)
    state = world.state()
    assert plan(state, unlocked, "encoderblock_1") == ComponentPlan(
        "encoderblock_1", "clone", f"encoderblock_1@{unlocked}", trainable=True
    )
    assert plan(state, unlocked, "encoderblock_1", inherit=False).action == "share"
    assert plan(state, unlocked, "encoderblock_0") == ComponentPlan(
        "encoderblock_0", "share", f"encoderblock_0@{own}", trainable=False
    )
    assert plan(state, unlocked, "encoderblock_2").source == "encoderblock_2@0"
    assert plan(state, unlocked, "encoderblock_2").action == "share"  # the root is locked for good


def test_the_active_tasks_own_lock_does_not_count(world: World) -> None:
    own = world.add("task0", own=["encoderblock_0"], active=True)
    state = world.state()
    assert state.num_users[f"encoderblock_0@{own}"] == 1
    assert state.is_trainable(f"encoderblock_0@{own}", "task0")
    assert not state.is_trainable(f"encoderblock_0@{own}", "task1")
    assert not state.is_trainable("encoderblock_1@0", "task0")


def test_new_image_size_resizes_the_roots_embedding(world: World) -> None:
    parent = world.add("task1", own=["posembed_input"])  # 32x32, trained
    resize = plan(world.state(), parent, "posembed_input", image_size=48)
    assert resize == ComponentPlan("posembed_input", "resize", "posembed_input@0", trainable=False)


def test_a_resized_embedding_is_shared_by_every_task(world: World) -> None:
    shapes = leaves("posembed_input", image_size=48)
    world.components["resized"] = ComponentRecord("posembed_input", shapes, "root-resized", parent="posembed_input@0")
    other = world.add("task1")
    components = {**world.models[other].components, "posembed_input": "resized"}
    world.models[other] = replace(world.models[other], components=components)
    state = world.state()
    assert plan(state, 0, "posembed_input", image_size=48) == ComponentPlan(
        "posembed_input", "share", "resized", trainable=False
    )
    assert plan(state, 0, "posembed_input", image_size=64).action == "resize"
    assert plan(state, 0, "posembed_input", image_size=32).source == "posembed_input@0"
    assert not state.is_trainable("resized", "task1")  # frozen unless cloned, for its own task too


def test_embeddings_are_resized_from_the_checkpoints_own_not_from_the_root_models(world: World) -> None:
    shapes = leaves("posembed_input", image_size=64)
    world.components["native"] = ComponentRecord("posembed_input", shapes, "root")
    resized = replace(world.components["posembed_input@0"], origin="root-resized", parent="native")
    world.components["posembed_input@0"] = resized
    state = world.state()
    own = plan(state, 0, "posembed_input", image_size=32)
    assert (own.action, own.source) == ("share", "posembed_input@0")
    resize = plan(state, 0, "posembed_input", image_size=48)
    assert resize == ComponentPlan("posembed_input", "resize", "native", trainable=False)
    native = plan(state, 0, "posembed_input", image_size=64)
    assert native == ComponentPlan("posembed_input", "share", "native", trainable=False)


def test_a_trained_embedding_of_an_ancestor_comes_before_a_resized_one(world: World) -> None:
    parent = world.add("task0", image_size=48, own=["posembed_input"], retained=False, active=True)
    found = plan(world.state(), parent, "posembed_input", image_size=48)
    assert (found.action, found.source) == ("clone", f"posembed_input@{parent}")


def test_adapter_is_new_when_no_ancestor_has_its_shape(world: World) -> None:
    parent = world.add("task1", adapters=[1], adapter_dim=16)
    state = world.state()
    assert plan(state, parent, "residual_adapter_1", adapter_dim=32) == ComponentPlan(
        "residual_adapter_1", "init", None, trainable=True
    )
    assert plan(state, parent, "residual_adapter_1", adapter_dim=16).action == "share"


def test_any_other_mismatch_is_an_error(world: World) -> None:
    with pytest.raises(EvolutionError, match="No ancestor of model 0 has a encoderblock_3"):
        plan(world.state(), 0, "encoderblock_3")


def test_architecture_of_a_model(world: World) -> None:
    model = world.models[world.add("task0", blocks=2, adapters=[1])]
    assert (lookup.num_blocks(model), lookup.adapter_indices(model)) == (2, frozenset({1}))
    assert (lookup.num_blocks(world.models[0]), lookup.adapter_indices(world.models[0])) == (3, frozenset())
