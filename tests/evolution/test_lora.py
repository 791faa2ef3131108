"""LoRA as an insertion mutation: drawn beside the adapter, looked up by shape, gone with its block."""

from __future__ import annotations

import math
from typing import Any

import pytest

from munet.evolution.children import mutated_child, seed_child
from munet.evolution.search_space import default_hyperparameters
from munet.types import ChildPlan, ComponentPlan, ModelId
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World, draws, part, trained

TASKS = make_tasks(10, 20)
NONE: dict[str, Any] = {"insertions": ("lora",), "mutation_probability": 0.0}


def make_world(**changes: Any) -> World:
    return World(make_experiment(TASKS, **{"insertions": ("adapter", "lora"), **changes}), TASKS)


def mutated(world: World, parent: ModelId, seed: int = 0) -> ChildPlan:
    data = default_hyperparameters(world.experiment)
    return mutated_child(world.state(), world.experiment, TASKS[0], 99, world.models[parent], data, draws(seed))


def inserted(child: ChildPlan, prefix: str) -> set[str]:
    return {m.target for m in child.mutations if m.kind == "insert" and m.target.startswith(prefix)}


def test_each_block_gets_one_with_probability_mu() -> None:
    world = make_world(mutation_probability=0.2)
    parent = world.add("task1")
    counts = [len(inserted(mutated(world, parent, seed), "lora")) for seed in range(600)]
    blocks = [  # a removed block has none
        sum(plan.name.startswith("encoderblock") for plan in mutated(world, parent, seed).components)
        for seed in range(600)
    ]
    assert abs(sum(counts) / sum(blocks) - 0.2) < 4 * math.sqrt(0.2 * 0.8 / sum(blocks))


def test_a_new_one_is_trained_and_its_block_stays_shared() -> None:
    world = make_world(insertions=("lora",), mutation_probability=1.0)
    parent = world.add("task1")
    plans = [mutated(world, parent, seed) for seed in range(5)]
    for child in plans:
        assert inserted(child, "lora") == {plan.name for plan in child.components if plan.name.startswith("lora")}
        assert part(child, "lora_0") == ComponentPlan("lora_0", "init", None, trainable=True)
        assert not inserted(child, "residual_adapter")
    world = make_world(**NONE)
    parent = world.add("task0", loras=[1], active=True, retained=False)
    assert trained(mutated(world, parent)) == {"head", "encoder_norm", "lora_1"}


def test_adapters_are_drawn_as_without_it() -> None:
    """Each has a draw of its own name: allowing LoRA moves nothing else."""
    both, alone = make_world(mutation_probability=0.4), make_world(mutation_probability=0.4, insertions=("adapter",))
    for seed in range(40):
        children = [mutated(world, world.add("task1"), seed) for world in (both, alone)]
        assert inserted(children[0], "residual_adapter") == inserted(children[1], "residual_adapter")
        of_lora = ("lora_rank", *inserted(children[0], "lora"))
        assert tuple(m for m in children[0].mutations if m.target not in of_lora) == children[1].mutations


def test_it_is_shared_frozen_and_cloned_like_any_layer() -> None:
    world = make_world(**NONE)
    parent = world.add("task1", loras=[0, 2])
    child = mutated(world, parent)
    assert part(child, "lora_0") == ComponentPlan("lora_0", "share", f"lora_0@{parent}", trainable=False)
    always = make_world(insertions=("lora",), mutation_probability=1.0)
    parent = always.add("task1", loras=[0], lora_rank=2)
    clones = [part(mutated(always, parent, seed), "lora_0") for seed in range(20)]
    # The rank moves (always, here): down to 2, where it stays and the parent's is cloned, or up to 4, where it is new.
    assert {plan.action for plan in clones} == {"clone", "init"}


def test_another_rank_is_looked_up_among_ancestors_by_shape() -> None:
    world = make_world(**NONE)
    first = world.add("task0", loras=[1], lora_rank=4, active=True, retained=False)
    second = world.add("task0", first, loras=[1], lora_rank=8, own=["lora_1"], active=True, retained=False)
    third = world.add("task0", second, loras=[1], lora_rank=4, active=True, retained=False)
    world.models[third].components["lora_1"] = f"lora_1@{second}"  # type: ignore[index]  # of another rank than its own
    assert part(mutated(world, third), "lora_1").source == f"lora_1@{first}"


def test_it_goes_with_its_block() -> None:
    world = make_world(mutation_probability=1.0)
    parent = world.add("task1", loras=[0, 1, 2], adapters=[2])
    fewer = [child for seed in range(10) if len(names(child := mutated(world, parent, seed), "encoderblock")) == 2]
    assert fewer
    for child in fewer:
        assert names(child, "lora") == {"lora_0", "lora_1"}
        assert names(child, "residual_adapter") == {"residual_adapter_0", "residual_adapter_1"}


def test_a_block_that_comes_back_has_none_unless_it_is_inserted_anew() -> None:
    world = make_world(**NONE)
    grandparent = world.add("task0", loras=[2], active=True, retained=False)
    parent = world.add("task0", grandparent, blocks=2, active=True, retained=False)
    assert not names(mutated(world, parent), "lora")


def test_seed_children_share_it_as_it_is() -> None:
    world = make_world(mutation_probability=1.0)
    parent = world.add("task1", loras=[1], lora_rank=16)
    data = default_hyperparameters(world.experiment)
    child = seed_child(world.state(), world.experiment, TASKS[0], 99, world.models[parent], data)
    assert part(child, "lora_1").source == f"lora_1@{parent}"
    assert trained(child) == {"head"}
    assert child.hyperparameters["lora_rank"] == 16


@pytest.mark.parametrize("kinds", [("adapter",), ()])
def test_where_it_is_not_allowed_there_is_none(kinds: tuple[str, ...]) -> None:
    world = make_world(insertions=kinds, mutation_probability=1.0)
    child = mutated(world, world.add("task1"))
    assert not names(child, "lora")
    assert "lora_rank" not in child.hyperparameters
    assert bool(names(child, "residual_adapter")) == ("adapter" in kinds)


def names(child: ChildPlan, prefix: str) -> set[str]:
    return {plan.name for plan in child.components if plan.name.startswith(prefix)}
