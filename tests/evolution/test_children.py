from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from munet.config import Experiment, Fidelity
from munet.evolution.children import mutated_child, seed_child
from munet.evolution.search_space import MODEL_SETTINGS, default_hyperparameters
from munet.types import ChildPlan, ComponentPlan, ModelId, Mutation
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World, draws, part, trained

TASKS = make_tasks(10, 20)
BODY = {"embedding", "cls", "posembed_input", "encoderblock_0", "encoderblock_1", "encoderblock_2"}


def make_world(**changes: Any) -> World:
    return World(make_experiment(TASKS, **{"mutation_probability": 0.0, **changes}), TASKS)


def mutated(world: World, parent: ModelId, seed: int = 0, experiment: Experiment | None = None) -> ChildPlan:
    used = experiment or world.experiment
    data = default_hyperparameters(used)
    return mutated_child(world.state(), used, TASKS[0], 99, world.models[parent], data, draws(seed))


def seeded(world: World, parent: ModelId) -> ChildPlan:
    data = default_hyperparameters(world.experiment)
    return seed_child(world.state(), world.experiment, TASKS[0], 99, world.models[parent], data)


def test_seed_children_train_a_new_head_only() -> None:
    world = make_world(mutation_probability=1.0)
    parent = world.add("task1", own=["encoderblock_1", "encoder_norm"], blocks=2, adapters=[1], momentum=0.99)
    child = seeded(world, parent)
    assert (child.parent, child.is_seed, child.mutations) == (parent, True, ())
    assert trained(child) == {"head"}
    assert part(child, "head").action == "init"
    shared = {plan.name: plan.source for plan in child.components if plan.name != "head"}
    assert shared == {name: id for name, id in world.models[parent].components.items() if name != "head"}
    assert child.hyperparameters["momentum"] == 0.99  # the parent's model settings


def test_seed_children_share_even_what_they_might_train() -> None:
    world = make_world()
    own = world.add("task0", own=["encoderblock_0", "encoder_norm"], active=True)
    other = world.add("task1", own=["head"])
    world.models[other] = replace(
        world.models[other], parent=own, components={**world.models[own].components, "head": f"head@{other}"}
    )
    world.retained.pop("task1")  # so that nothing but the active task uses the clones
    child = seeded(world, other)
    assert trained(child) == {"head"}
    assert part(child, "encoderblock_0").source == f"encoderblock_0@{own}"


def test_seed_children_may_train_the_norm() -> None:
    child = seeded(make_world(fidelity=Fidelity(seed_trains_norm=True)), 0)
    assert trained(child) == {"head", "encoder_norm"}
    assert child.mutations == (Mutation("clone", "encoder_norm", forced=True),)


def test_mutated_children_always_train_head_and_norm() -> None:
    child = mutated(make_world(), 0)
    assert trained(child) == {"head", "encoder_norm"}
    assert child.mutations == (Mutation("clone", "encoder_norm", forced=True),)
    assert part(child, "encoder_norm").source == "encoder_norm@0"


def test_norm_by_chance_is_a_layer_like_others() -> None:
    chance = Fidelity(encoder_norm="chance")
    assert trained(mutated(make_world(fidelity=chance), 0)) == {"head"}
    world = make_world(fidelity=chance, mutation_probability=0.5)
    children = [mutated(world, 0, seed) for seed in range(40)]
    cloned = [Mutation("clone", "encoder_norm") in child.mutations for child in children]
    assert 5 < sum(cloned) < 35
    assert cloned == ["encoder_norm" in trained(child) for child in children]


def test_trainable_set_grows_along_a_lineage() -> None:
    # The published code: what a parent of the same task trains is copied and trained on in its children.
    world = make_world()
    parent = world.add("task0", own=["encoderblock_2", "encoder_norm"], retained=False, active=True)
    child = mutated(world, parent)
    assert trained(child) == {"head", "encoder_norm", "encoderblock_2"}
    assert all(part(child, name).action == "clone" for name in trained(child))
    assert part(child, "head").source == f"head@{parent}"
    assert child.mutations == ()  # nothing fired: all of it is inherited


def test_shared_and_frozen_by_default_as_the_paper_says() -> None:
    world = make_world(fidelity=Fidelity(trainability="frozen"))
    parent = world.add("task0", own=["encoderblock_2", "encoder_norm"], retained=False, active=True)
    child = mutated(world, parent)
    assert trained(child) == {"head", "encoder_norm"}
    assert part(child, "encoderblock_2").source == f"encoderblock_2@{parent}"
    assert child.mutations == (Mutation("clone", "encoder_norm", forced=True),)
    certain = mutated(world, parent, experiment=replace(world.experiment, mutation_probability=1.0))
    assert {m.target for m in certain.mutations if m.kind == "clone"} > {"encoderblock_0", "embedding"}


def test_both_statements_agree_for_parents_that_others_use() -> None:
    parents = []
    for rule in ("inherited", "frozen"):
        world = make_world(fidelity=Fidelity(trainability=rule))
        parent = world.add("task1", own=["encoderblock_2", "encoder_norm"])
        parents.append(mutated(world, parent).components)
    assert parents[0] == parents[1]


def test_in_the_second_iteration_only_what_others_use_is_frozen() -> None:
    world = make_world()
    first = world.add("task0", own=["encoderblock_1", "encoderblock_2", "encoder_norm"], active=True)
    second = world.add("task1", first, own=["encoderblock_2", "encoder_norm"])
    child = mutated(world, first)
    assert trained(child) == {"head", "encoder_norm", "encoderblock_2"}  # task1 depends on block 1
    assert part(child, "encoderblock_1").source == f"encoderblock_1@{first}"
    assert second in world.models


def test_a_locked_layer_is_trained_only_by_a_clone_mutation() -> None:
    world = make_world(mutation_probability=0.3)
    parent = world.add("task1", own=sorted(BODY))
    for seed in range(30):
        child = mutated(world, parent, seed)
        if child.mutations and any(m.kind == "num_blocks" for m in child.mutations):
            continue
        fired = {m.target for m in child.mutations if m.kind in ("clone", "insert")}
        assert trained(child) == fired | {"head"}


def test_block_removal_drops_its_adapter_and_truncates_the_parent() -> None:
    world = make_world(mutation_probability=0.2, auto_tune=False)
    parent = world.add("task1", blocks=3, adapters=[0, 2], own=["encoderblock_0"])
    child = _resized_only(world, parent, 3, 2)
    names = [plan.name for plan in child.components]
    assert names == [
        "embedding", "cls", "posembed_input", "residual_adapter_0", "encoderblock_0", "encoderblock_1",
        "encoder_norm", "head",
    ]  # fmt: skip
    sources = {plan.name: plan.source for plan in child.components if plan.name != "head"}
    assert sources == {name: world.models[parent].components[name] for name in names if name != "head"}
    assert trained(child) == {"head", "encoder_norm"}


def test_a_regrown_block_comes_from_the_nearest_ancestor() -> None:
    world = make_world(mutation_probability=0.2, auto_tune=False)
    grandparent = world.add("task1", own=["encoderblock_2"])
    parent = world.add("task0", grandparent, blocks=2, retained=False, active=True)
    child = _resized_only(world, parent, 2, 3)
    assert part(child, "encoderblock_2").source == f"encoderblock_2@{grandparent}"  # not the root's
    assert part(child, "encoderblock_2").action == "share"


def test_hyperparameters_are_the_parents_and_data_settings_the_generations() -> None:
    world = make_world()
    parent = world.add("task1", momentum=0.98, learning_rate=0.2, flip=False, image_size=48, own=["posembed_input"])
    child = mutated(world, parent)
    assert child.hyperparameters["momentum"] == 0.98
    assert child.hyperparameters["learning_rate"] == 0.2
    assert child.hyperparameters["flip"] is True
    assert child.hyperparameters["image_size"] == 32
    assert part(child, "posembed_input").source == "posembed_input@0"  # the nearest of that size


def test_data_settings_may_be_each_childs_own() -> None:
    world = make_world(fidelity=Fidelity(data_settings="child"))
    parent = world.add("task1", flip=False, image_size=48, own=["posembed_input"])
    child = mutated(world, parent)
    assert (child.hyperparameters["flip"], child.hyperparameters["image_size"]) == (False, 48)
    certain = mutated(world, parent, experiment=replace(world.experiment, mutation_probability=1.0))
    assert {m.target for m in certain.mutations} >= {*MODEL_SETTINGS, "image_size", "hue_delta"}


@pytest.mark.parametrize("dim", [16, 64])
def test_a_new_adapter_dim_changes_every_adapter(dim: int) -> None:
    world = make_world()
    parent = world.add("task1", adapters=[0, 1], adapter_dim=32)
    world.models[parent] = replace(
        world.models[parent], hyperparameters={**world.models[parent].hyperparameters, "adapter_dim": dim}
    )
    child = mutated(world, parent)
    assert [part(child, f"residual_adapter_{i}").action for i in (0, 1)] == ["init", "init"]


def test_an_adapter_of_an_ancestor_is_found_again() -> None:
    world = make_world(mutation_probability=1.0, auto_tune=False)
    grandparent = world.add("task1", adapters=[0], adapter_dim=32)
    parent = world.add("task0", grandparent, retained=False, active=True)  # without the adapter
    child = mutated(world, parent)
    assert part(child, "residual_adapter_0").source == f"residual_adapter_0@{grandparent}"
    assert part(child, "residual_adapter_1").action == "init"


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_resized_embedding_is_trained_only_by_a_clone_mutation(probability: float) -> None:
    world = make_world(mutation_probability=probability, auto_tune=False)
    data = {**default_hyperparameters(world.experiment), "image_size": 48}
    arguments = (world.state(), world.experiment, TASKS[0], 99, world.models[0], data)
    source = "posembed_input@0"
    child = mutated_child(*arguments, draws())
    assert part(child, "posembed_input") == ComponentPlan("posembed_input", "resize", source, probability == 1.0)
    assert (Mutation("clone", "posembed_input") in child.mutations) == (probability == 1.0)
    assert part(seed_child(*arguments), "posembed_input") == ComponentPlan("posembed_input", "resize", source, False)


def _resized_only(world: World, parent: ModelId, before: int, after: int) -> ChildPlan:
    """A child of which only the number of blocks mutated."""
    wanted = Mutation("num_blocks", "num_blocks", before, after)
    children = (mutated(world, parent, seed) for seed in range(3000))
    return next(child for child in children if [m for m in child.mutations if not m.forced] == [wanted])
