"""Which children a generation has, and with which data settings."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from munet.config import Fidelity
from munet.evolution.controller import Controller
from munet.evolution.search_space import DATA_SETTINGS, MODEL_SETTINGS, default_hyperparameters, select, values_of
from munet.evolution.state import initial_state
from munet.types import GenerationPlan, Position
from tests.evolution.simulation import make_experiment, make_tasks, simulate, start_entry
from tests.evolution.world import World, trained

TASKS = make_tasks(10, 10)


def first_plan(**changes: Any) -> GenerationPlan:
    experiment = make_experiment(TASKS, **changes)
    return Controller(experiment, TASKS).ask(initial_state(start_entry(experiment, TASKS)))


def test_first_generation_is_one_seed_child_and_mutated_children_of_the_root() -> None:
    plan = first_plan()
    assert [child.is_seed for child in plan.children] == [True] + [False] * 7
    assert {child.parent for child in plan.children} == {0}
    assert [child.id for child in plan.children] == list(range(1, 9))
    assert trained(plan.children[0]) == {"head"}
    assert all(trained(child) >= {"head", "encoder_norm"} for child in plan.children[1:])
    assert len({child.mutations for child in plan.children}) > 3
    assert (plan.position, plan.task) == (Position(), "task0")


def test_second_iteration_of_eight_tasks_begins_with_a_generation_of_seeds() -> None:
    tasks = make_tasks(*[10] * 8)
    experiment = make_experiment(tasks, num_generations=2, children_per_generation=8)
    state = simulate(experiment, tasks, stop=lambda state: state.position == Position(1, 0, 0)).final
    plan = Controller(experiment, tasks).ask(state)
    assert [child.is_seed for child in plan.children] == [True] * 8
    others = [model for name, model in state.retained.items() if name != "task0"]
    assert [child.parent for child in plan.children] == [*sorted(others, reverse=True), 0]
    assert all("head" in trained(child) and len(trained(child)) == 1 for child in plan.children)
    assert not any(child.mutations for child in plan.children)


def test_plans_depend_on_seed_and_state_only() -> None:
    assert first_plan() == first_plan()
    assert first_plan(seed=1).children[1:] != first_plan().children[1:]


def test_data_settings_are_one_draw_for_a_generation_from_the_best_model() -> None:
    world = World(make_experiment(TASKS, mutation_probability=0.5), TASKS)
    world.add("task0", quality=10, retained=False, active=True, hue_delta=0.2)
    best = world.add("task0", quality=90, retained=False, active=True, hue_delta=0.05, crop_area_min=0.2)
    changed: Counter[str] = Counter()
    for seed in range(60):
        plan = Controller(replace(world.experiment, seed=seed), TASKS).ask(world.state())
        data = [select(child.hyperparameters, DATA_SETTINGS) for child in plan.children]
        assert all(settings == data[0] for settings in data)
        for name in DATA_SETTINGS:
            values = list(values_of(world.experiment, name))
            move = values.index(data[0][name]) - values.index(world.models[best].hyperparameters[name])
            assert abs(move) <= 1
            changed[name] += move != 0
            told = [(m.before, m.after, m.effective) for m in plan.data_mutations if m.target == name]
            before, after = world.models[best].hyperparameters[name], data[0][name]
            assert told == [(before, after, True)] if move else told in ([], [(before, before, False)])
        assert not {m.target for child in plan.children for m in child.mutations} & set(DATA_SETTINGS)
    assert all(changed[name] > 3 for name in DATA_SETTINGS)


def test_data_settings_rest_while_seed_parents_are_pending() -> None:
    world = World(make_experiment(TASKS, mutation_probability=1.0, children_per_generation=3), TASKS)
    world.add("task0", retained=False, active=True, hue_delta=0.05)
    plan = Controller(world.experiment, TASKS).ask(world.state(seeds=(0,)))
    assert [child.is_seed for child in plan.children] == [True, False, False]
    assert {child.hyperparameters["hue_delta"] for child in plan.children} == {0.05}
    assert {child.hyperparameters["flip"] for child in plan.children} == {True}
    assert plan.data_mutations == ()


def test_data_settings_rest_without_auto_tuning() -> None:
    world = World(make_experiment(TASKS, mutation_probability=1.0, auto_tune=False), TASKS)
    plan = Controller(world.experiment, TASKS).ask(world.state())
    defaults = default_hyperparameters(world.experiment)
    assert all(child.hyperparameters == defaults for child in plan.children)


def test_data_settings_of_each_child() -> None:
    fidelity = Fidelity(data_settings="child")
    world = World(make_experiment(TASKS, mutation_probability=0.5, fidelity=fidelity), TASKS)
    world.add("task0", retained=False, active=True)
    plan = Controller(world.experiment, TASKS).ask(world.state())
    assert len({tuple(select(c.hyperparameters, DATA_SETTINGS).values()) for c in plan.children}) > 4
    targets = {m.target for child in plan.children for m in child.mutations if m.kind == "hyperparameter"}
    assert targets & set(DATA_SETTINGS)
    assert targets & set(MODEL_SETTINGS)
