"""Seed parents chosen by fit: who is a candidate, who is chosen, and what the controller asks for before it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from munet.config import Baseline, Fidelity
from munet.errors import CorruptionError
from munet.evolution.controller import Controller
from munet.evolution.parents import MAX_CANDIDATES, best_fitting, seed_parents
from munet.evolution.state import EvolutionError, State
from munet.types import GenerationEntry, PhaseEntry, Position, Quality, SeedsEntry
from tests.evolution.simulation import make_experiment, make_tasks, next_entry, simulate
from tests.evolution.world import World, draws

TASKS = make_tasks(10, 10, 10, 10, 10, 10)


def make_world(cap: int, tasks: Any = TASKS, **changes: Any) -> World:
    return World(make_experiment(tasks, max_seed_parents=cap, **{"seed_choice": "fit", **changes}), tasks)


def seeds(world: World, task: str = "task0") -> tuple[int, ...]:
    return seed_parents(world.state(), world.experiment, task, draws())


def test_where_there_are_no_more_than_the_most_all_are_taken_newest_first() -> None:
    world = make_world(3)
    one, two = world.add("task1"), world.add("task2")
    world.add("task0")  # the task's own previous best is no seed parent
    assert seeds(world) == (two, one, 0)


@pytest.mark.parametrize(
    "changes", [{"max_seed_parents": 0}, {"seed_choice": "newest"}, {"baseline": Baseline("full")}]
)
def test_without_a_cap_or_for_baselines_fit_decides_nothing(changes: dict[str, Any]) -> None:
    world = make_world(2, children_per_generation=2, num_generations=1)
    for i in (1, 2, 3):
        world.add(f"task{i}")
    world.experiment = replace(world.experiment, **changes)
    other = replace(world.experiment, seed_choice="newest")
    assert seeds(world) == seed_parents(world.state(), other, "task0", draws())
    assert len(seeds(world)) <= 2


def test_candidates_are_all_models_where_they_are_few() -> None:
    world = make_world(2)
    models = [0, *(world.add(f"task{i}") for i in (1, 2, 3))]
    world.add("task0")
    assert seeds(world) == tuple(reversed(models))


@pytest.mark.parametrize("order", ["newest", "random"])
def test_of_very_many_models_the_root_the_newest_and_the_most_used_are_candidates(
    order: Any,
) -> None:
    tasks = make_tasks(*[10] * 300)
    world = make_world(8, tasks, fidelity=Fidelity(seed_order=order))
    used = world.add("task1")
    models = [used, *(world.add(f"task{i}", used if 50 < i < 60 else 0) for i in range(2, 300))]
    found = seeds(world)
    assert len(found) == len(set(found)) == MAX_CANDIDATES
    assert {0, used} <= set(found)
    if order == "newest":
        assert found == tuple(sorted(found, reverse=True))
        assert found[: MAX_CANDIDATES // 2] == tuple(models[::-1][: MAX_CANDIDATES // 2])
    assert len(seeds(make_world(100, tasks, children_per_generation=64))) == 1
    world.experiment = replace(world.experiment, max_seed_parents=50)
    assert len(seeds(world)) == 100  # there is a choice however many are taken


def test_the_best_fitting_are_chosen_newest_first_among_equals() -> None:
    world = make_world(3)
    a, b, c, d = (world.add(f"task{i}", own=["encoder_norm"]) for i in (1, 2, 3, 4))
    state = world.state(seeds=(d, c, b, a, 0))
    assert best_fitting(state, world.experiment, {a: 0.5, b: 0.9, c: 0.5, d: 0.1, 0: 0.5}) == (b, c, a)
    assert best_fitting(state, world.experiment, {a: 0.1, b: 0.2, c: 0.3, d: 0.4, 0: 0.5}) == (0, d, c)
    assert best_fitting(state, world.experiment, dict.fromkeys((a, b, c, d, 0), 1.0)) == (d, c, b)


def test_a_trunk_takes_a_second_place_only_where_no_other_is_left() -> None:
    world = make_world(3)
    same = [world.add(f"task{i}") for i in (1, 2, 3)]  # the root's trunk with other heads
    other = world.add("task4", own=["encoderblock_0"])
    state = world.state(seeds=(other, *same[::-1], 0))
    fits = {0: 0.9, other: 0.2, **dict.fromkeys(same, 0.9)}
    assert best_fitting(state, world.experiment, fits) == (same[2], other, same[1])


def pending(world: World) -> tuple[Controller, State]:
    """A phase of task0 that has yet to choose."""
    for i in (1, 2, 3, 4):
        world.add(f"task{i}", own=["encoder_norm"])
    return Controller(world.experiment, TASKS), world.state(seeds=seeds(world))


def entry_of(state: State, **fits: float) -> SeedsEntry:
    return SeedsEntry(state.position, "task0", {model: fits.get(f"m{model}", 0.0) for model in state.seeds})


def test_the_controller_waits_for_the_choice_and_takes_it() -> None:
    controller, state = pending(make_world(2))
    with pytest.raises(EvolutionError, match="yet to be chosen by fit"):
        controller.ask(state)
    candidates = controller.seed_candidates(state)
    assert tuple(child.parent for child in candidates) == state.seeds == (4, 3, 2, 1, 0)
    assert all(child.is_seed for child in candidates)
    after = controller.tell(state, entry_of(state, m1=0.8, m3=0.7))
    assert after == replace(state, seeds=(1, 3))
    assert controller.seed_candidates(after) == ()
    assert [child.parent for child in controller.ask(after).children if child.is_seed] == [1, 3]
    assert controller.ask(replace(after, seeds=(3, 1))).children[0].parent == 3  # ask knows nothing but the state


def test_candidates_are_looked_at_as_their_seed_children_would_be() -> None:
    world = make_world(2)
    best = world.add("task0", active=True, image_size=64)
    controller, state = pending(world)
    assert best not in state.seeds
    for child in controller.seed_candidates(state):
        assert child.hyperparameters["image_size"] == 64  # of the best active model: data settings are the generation's
        assert next(plan for plan in child.components if plan.name == "posembed_input").action == "resize"
    chosen = controller.tell(state, entry_of(state, m2=1.0))
    children = {child.parent: child for child in controller.ask(chosen).children if child.is_seed}
    for child in controller.seed_candidates(state):
        if child.parent in children:
            assert children[child.parent] == replace(child, id=children[child.parent].id)


def test_entries_that_do_not_follow_are_refused() -> None:
    controller, state = pending(make_world(2))
    entry = entry_of(state)
    chosen = controller.tell(state, entry)
    generation = next_entry(controller, chosen)
    assert isinstance(generation, GenerationEntry)
    phase = PhaseEntry(state.position, "task0", 1, Quality(1, 2))
    cases: list[tuple[State, SeedsEntry | GenerationEntry | PhaseEntry]] = [
        (state, generation),
        (state, phase),
        (state, replace(entry, task="task1")),
        (state, replace(entry, position=Position(0, 1, 0))),
        (chosen, entry),
    ]
    for before, wrong in cases:
        with pytest.raises(CorruptionError, match="cannot follow"):
            controller.tell(before, wrong)
    fits = dict(entry.fits)
    del fits[3]
    with pytest.raises(CorruptionError, match=r"fit of the models \[0, 1, 2, 4\] .*candidates are \[0, 1, 2, 3, 4\]"):
        controller.tell(state, replace(entry, fits=fits))


def test_a_run_that_never_has_a_choice_is_that_of_the_newest() -> None:
    settings: dict[str, Any] = {"num_generations": 2, "children_per_generation": 4, "max_seed_parents": 6}
    newest, fit = (
        simulate(make_experiment(TASKS, seed_choice=choice, **settings), TASKS) for choice in ("newest", "fit")
    )
    assert newest.entries == fit.entries
    uncapped = (
        simulate(make_experiment(TASKS, seed_choice=choice, **{**settings, "max_seed_parents": 0}), TASKS)
        for choice in ("newest", "fit")
    )
    assert len({run.entries[-1] for run in uncapped}) == 1
