from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from munet.config import Fidelity
from munet.evolution.controller import Controller
from munet.evolution.state import EvolutionError, State
from munet.types import GenerationEntry, PhaseEntry, Position, Quality
from tests.evolution.simulation import Invention, constant, invent, make_experiment, make_tasks, next_entry
from tests.evolution.world import World

TASKS = make_tasks(10, 10, 10)
END = 2  # generations


def make_world(**changes: Any) -> World:
    settings = {"num_generations": END, "children_per_generation": 3, "cycles_per_child": 2, **changes}
    return World(make_experiment(TASKS, **settings), TASKS)


def generation(world: World, state: State, trainer: Invention = invent) -> tuple[GenerationEntry, State]:
    controller = Controller(world.experiment, TASKS)
    entry = next_entry(controller, state, trainer)
    assert isinstance(entry, GenerationEntry)
    return entry, controller.tell(state, entry)


def close(world: World, state: State, retained: int) -> State:
    entry = PhaseEntry(state.position, "task0", retained, Quality(7, 10))
    return Controller(world.experiment, TASKS).tell(state, entry)


def test_kept_children_enter_the_active_population() -> None:
    world = make_world()
    parent = world.add("task0", quality=50, retained=False, active=True)
    state = world.state()
    entry, after = generation(world, state, lambda child, cycles: constant(90 if child.id == 3 else 0)(child, cycles))
    kept = [child for child in entry.children if child.verdict.is_kept]
    assert after.active == (parent, *(child.plan.id for child in kept))
    assert 3 in after.active
    model = after.models[3]
    assert (model.task, model.quality, model.test_quality) == ("task0", Quality(90, 100), None)
    assert set(model.components.values()) <= set(after.components)
    assert after.components.keys() - state.components.keys() == set(entry.published) - set(state.components)
    assert after.num_users == state.num_users  # locks are set at the end of the phase
    assert after.position == Position(0, 0, 1)


def test_ids_and_offspring_count_rejected_children_too() -> None:
    world = make_world(children_per_generation=6)
    parent = world.add("task0", quality=50, retained=False, active=True)
    entry, after = generation(world, world.state(), constant(1))
    own = [child for child in entry.children if child.plan.parent == parent]
    assert not any(child.verdict.is_kept for child in own)
    assert after.models[parent].offspring == len(own) > 0
    assert after.models[0].offspring == 0  # not of the active task
    assert after.next_model_id == world.state().next_model_id + 6
    assert [child.plan.id for child in entry.children] == list(range(2, 8))


def test_seed_parents_are_used_up_in_order() -> None:
    world = make_world(children_per_generation=2)
    one, two = world.add("task1"), world.add("task2")
    _, after = generation(world, world.state(seeds=(two, one, 0)))
    assert after.seeds == (0,)
    entry, last = generation(world, after)
    assert [child.plan.is_seed for child in entry.children] == [True, False]
    assert last.seeds == ()


def test_end_of_phase_keeps_one_model_of_the_task() -> None:
    world = make_world()
    old = world.add("task0", own=["encoderblock_0"], active=True)
    other = world.add("task1", old)
    best = world.add("task0", old, own=["encoderblock_1", "encoder_norm"], retained=False, active=True)
    loser = world.add("task0", best, own=["encoderblock_2"], retained=False, active=True)
    after = close(world, world.state(Position(1, 0, END)), best)
    assert set(after.models) == {0, other, best}
    assert after.models[best].test_quality == Quality(7, 10)
    assert after.retained == {"task0": best, "task1": other}
    assert after.num_users[f"encoderblock_0@{old}"] == 2
    assert after.num_users["encoderblock_1@0"] == 1
    assert after.num_users[f"encoderblock_1@{best}"] == 1
    assert f"head@{old}" not in after.num_users
    gone = world.components.keys() - after.components.keys()
    assert gone == {f"head@{old}", f"head@{loser}", f"encoderblock_2@{loser}"}
    assert after.position == Position(1, 1, 0)
    assert (after.active, after.seeds) == ((other,), (best, 0))


def test_the_checkpoints_own_position_embedding_outlives_its_users() -> None:
    world = make_world()
    best = world.add("task0", retained=False, active=True)
    loser = world.add("task0", retained=False, active=True)
    resized = world.components["posembed_input@0"]
    world.components["native"] = resized
    world.components["posembed_input@0"] = replace(resized, origin="root-resized", parent="native")
    components = {**world.models[loser].components, "posembed_input": "native"}
    world.models[loser] = replace(world.models[loser], components=components)
    after = close(world, world.state(Position(1, 0, END)), best)
    assert {"native", "posembed_input@0"} <= after.components.keys()
    assert "native" not in after.num_users


def test_parent_pointers_jump_to_the_nearest_retained_ancestor() -> None:
    world = make_world()
    old = world.add("task0", active=True)
    other = world.add("task1", old)  # its parent will be gone
    first = world.add("task0", other, retained=False, active=True)
    second = world.add("task0", first, retained=False, active=True)
    best = world.add("task0", second, retained=False, active=True)
    after = close(world, world.state(Position(1, 0, END)), best)
    assert after.models[best].parent == other
    assert after.models[other].parent == 0
    assert [model.id for model in after.lineage(best)] == [best, other, 0]


def test_the_previous_best_may_stay() -> None:
    world = make_world()
    old = world.add("task0", own=["encoder_norm"], active=True)
    world.add("task0", old, own=["encoder_norm"], retained=False, active=True)
    before = world.state(Position(1, 0, END))
    after = close(world, before, old)
    assert after.num_users == before.num_users
    assert after.retained == before.retained
    assert set(after.models) == {0, old}


@pytest.mark.parametrize(("rule", "expected"), [("cumulative", 5), ("per_activation", 0)])
def test_offspring_counts_last_from_one_activation_to_the_next(rule: Any, expected: int) -> None:
    world = make_world(fidelity=Fidelity(offspring_count=rule))
    own = world.add("task0", active=True)
    other = world.add("task1", offspring=5)
    after = close(world, world.state(Position(1, 0, END)), own)
    assert after.active == (other,)
    assert after.models[other].offspring == expected


def test_phases_follow_each_other_to_the_end() -> None:
    world = make_world()
    own = world.add("task0", active=True)
    controller = Controller(world.experiment, TASKS)
    assert close(world, world.state(Position(0, 0, END)), own).position == Position(0, 1, 0)
    world.add("task1")
    third = world.add("task2", active=True)
    world.active.remove(own)
    for iteration in (0, 1):
        state = world.state(Position(iteration, 2, END))
        after = controller.tell(state, PhaseEntry(state.position, "task2", third, Quality(1, 2)))
        assert after.position == Position(iteration + 1, 0, 0)
        assert controller.is_complete(after) == (iteration == 1)
    assert (after.active, after.seeds) == ((), ())
    with pytest.raises(EvolutionError, match="no generation left"):
        controller.ask(after)


def test_states_are_not_changed_in_place() -> None:
    world = make_world()
    world.add("task0", retained=False, active=True)
    state = world.state()
    copy = world.state()
    generation(world, state)
    close(world, replace(state, position=Position(0, 0, END)), 1)
    assert state == copy
