from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from munet.config import Fidelity
from munet.evolution.controller import Controller
from munet.evolution.parents import possible_parents, sample_parent, seed_parents
from munet.evolution.sorted_map import SortedMap
from munet.types import ROOT_MODEL, GenerationEntry, Position
from tests.evolution.simulation import make_experiment, make_tasks, simulate
from tests.evolution.world import World, draws

TASKS = make_tasks(10, 10, 10, 10)
NUM_DRAWS = 4000


def models(*ids: int) -> SortedMap[int, None]:
    return SortedMap(dict.fromkeys(ids))


def assert_frequency(count: int, total: int, probability: float) -> None:
    sigma = math.sqrt(max(probability * (1 - probability), 1e-9) / total)
    assert abs(count / total - probability) <= 4 * sigma, (count / total, probability)


def test_frequencies_follow_eq_1_by_rank() -> None:
    ranked, offspring = [7, 3, 9], {7: 2, 3: 1, 9: 3}
    everyone = models(0, 3, 7, 9)
    counts = Counter(sample_parent(ranked, offspring, everyone, draws(i)) for i in range(NUM_DRAWS))
    accept = {model: 0.5 ** offspring[model] for model in ranked}
    all_reject = math.prod(1 - p for p in accept.values())
    expected, reached = dict.fromkeys(everyone, all_reject / 4), 1.0
    for model in ranked:
        expected[model] += reached * accept[model]
        reached *= 1 - accept[model]
    assert sum(expected.values()) == pytest.approx(1)
    for model, probability in expected.items():
        assert_frequency(counts[model], NUM_DRAWS, probability)


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_acceptance_halves_with_every_child(k: int) -> None:
    accepted = sum(sample_parent([4], {4: k}, models(0), draws(k, i)) == 4 for i in range(NUM_DRAWS))
    assert_frequency(accepted, NUM_DRAWS, 0.5**k)


def test_fallback_is_uniform_over_active_and_seed_models() -> None:
    everyone = models(0, 2, 5, 8)
    counts = Counter(sample_parent([8], {8: 60}, everyone, draws(i)) for i in range(NUM_DRAWS))
    assert set(counts) == set(everyone)
    for model in everyone:
        assert_frequency(counts[model], NUM_DRAWS, 0.25)


def test_first_without_children_is_always_taken() -> None:
    assert {sample_parent([2, 1], {2: 0, 1: 0}, models(0), draws(i)) for i in range(50)} == {2}


def test_children_of_one_generation_count_at_once() -> None:
    # The best model has no child yet: it is accepted for sure once, and less and less often after that.
    world = World(make_experiment(TASKS, children_per_generation=3), TASKS)
    best = world.add("task0", quality=90, retained=False, active=True)
    counts = [0, 0, 0]
    for seed in range(400):
        plan = Controller(replace(world.experiment, seed=seed), TASKS).ask(world.state())
        for index, child in enumerate(plan.children):
            counts[index] += child.parent == best
    assert counts[0] == 400
    assert_frequency(counts[1], 400, 0.5 + 0.5 / 2)  # accepted, or by the fallback over {root, best}
    third = 0.75 * (0.25 + 0.75 / 2) + 0.25 * (0.5 + 0.5 / 2)  # it has two children by then, or one
    assert_frequency(counts[2], 400, third)


def test_better_scores_are_visited_first_and_lower_ids_among_equals() -> None:
    world = World(make_experiment(TASKS, children_per_generation=1), TASKS)
    worse = world.add("task0", quality=50, retained=False, active=True)
    first = world.add("task0", quality=80, retained=False, active=True)
    world.add("task0", quality=80, retained=False, active=True)
    controller = Controller(world.experiment, TASKS)
    assert controller.ask(world.state()).children[0].parent == first
    assert controller.best(world.state()).id == first
    # With a size penalty the smaller model is visited first.
    small = world.add("task0", blocks=1, quality=79, retained=False, active=True)
    penalised = Controller(replace(world.experiment, scale_factor=0.3), TASKS)
    assert penalised.ask(world.state()).children[0].parent == small
    assert worse not in (first, small)


def test_seed_parents_are_all_other_tasks_models_and_the_root_newest_first() -> None:
    world = World(make_experiment(TASKS), TASKS)
    one, own, three = world.add("task1"), world.add("task0"), world.add("task2")
    state = world.state()
    assert seed_parents(state, world.experiment, "task0", draws()) == (three, one, 0)
    assert seed_parents(state, world.experiment, "task3", draws()) == (three, own, one, 0)


def test_models_of_private_tasks_are_parents_of_their_own_task_only() -> None:
    world = World(make_experiment(TASKS, private_tasks=("task1",)), TASKS)
    private, own, other = world.add("task1"), world.add("task0"), world.add("task2")
    state = world.state()
    assert seed_parents(state, world.experiment, "task0", draws()) == (other, 0)
    assert seed_parents(state, world.experiment, "task1", draws()) == (other, own, 0)  # they take from others
    assert set(possible_parents(state, world.experiment, "task0")) == {0, own, other}
    assert set(possible_parents(state, world.experiment, "task1")) == {0, private, own, other}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_seed_parents": 1, "seed_choice": "fit"},
        {"stages": ("race",), "images_per_task": 20480, "max_seed_parents": 2, "seed_choice": "fit"},
    ],
)
def test_no_model_of_a_run_has_a_private_task_of_another_in_its_ancestry(settings: dict[str, Any]) -> None:
    experiment = make_experiment(TASKS, private_tasks=("task0", "task2"), mutation_probability=0.3, **settings)
    simulation = simulate(experiment, TASKS)
    tasks = {ROOT_MODEL: None} | {
        model.id: model.task for state in simulation.states for model in state.models.values()
    }
    entries = [entry for entry in simulation.entries if isinstance(entry, GenerationEntry)]
    plans = [child.plan for entry in entries for child in entry.children]
    assert {tasks[plan.parent] for plan in plans} == {None, *(task.name for task in TASKS)}
    assert all(tasks[plan.parent] in (None, "task1", "task3", plan.task) for plan in plans)


def test_a_tournament_takes_the_better_of_two() -> None:
    ranked, everyone = [7, 3, 9], models(0, 3, 7, 9)
    offspring = dict.fromkeys(ranked, 60)
    counts = Counter(sample_parent(ranked, offspring, everyone, draws(i), "tournament") for i in range(NUM_DRAWS))
    assert set(counts) == set(ranked)
    for model, probability in zip(ranked, (5 / 9, 3 / 9, 1 / 9), strict=True):
        assert_frequency(counts[model], NUM_DRAWS, probability)
    assert sample_parent([], {}, models(0), draws(), "tournament") == 0  # nobody is active yet


def test_a_random_parent_is_any_model() -> None:
    everyone = models(0, 3, 7, 9)
    counts = Counter(sample_parent([7, 3], {7: 0, 3: 0}, everyone, draws(i), "random") for i in range(NUM_DRAWS))
    for model in everyone:
        assert_frequency(counts[model], NUM_DRAWS, 0.25)


@pytest.mark.parametrize(("cap", "expected"), [(0, 4), (1, 1), (3, 3), (9, 4)])
def test_seed_parents_are_capped(cap: int, expected: int) -> None:
    world = World(make_experiment(TASKS, max_seed_parents=cap), TASKS)
    models = [0, *(world.add(f"task{i}") for i in (1, 2, 3))]
    assert seed_parents(world.state(), world.experiment, "task0", draws()) == tuple(models[::-1][:expected])


def test_random_seed_order_is_uniform() -> None:
    world = World(make_experiment(TASKS, fidelity=Fidelity(seed_order="random")), TASKS)
    for i in (1, 2):
        world.add(f"task{i}")
    orders = Counter(seed_parents(world.state(), world.experiment, "task0", draws(i)) for i in range(1200))
    assert len(orders) == 6
    for count in orders.values():
        assert_frequency(count, 1200, 1 / 6)


def test_every_task_is_a_seed_even_of_an_earlier_iteration() -> None:
    world = World(make_experiment(TASKS), TASKS)
    own = world.add("task0", active=True)
    others = [world.add(f"task{i}") for i in (1, 2, 3)]
    seeds = (*others[::-1], 0)
    plan = Controller(world.experiment, TASKS).ask(world.state(Position(1, 0, 0), seeds))
    assert tuple(child.parent for child in plan.children if child.is_seed) == seeds
    assert own not in seeds
