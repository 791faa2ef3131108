"""What is said at the start of settings that do nothing beside others, and that nothing is said of those that do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from munet.config import Baseline, Config, Experiment, Runtime, SearchSpace
from munet.config.checks import validate
from munet.config.files import load_config
from munet.run.setting_notes import notes

RACE: dict[str, Any] = {"stages": ("race",), "images_per_task": 81_920}
NAMED: dict[str, Any] = {"stages": ("explore:8x2", "train:1x10")}
FIXED: dict[str, Any] = {**RACE, "auto_tune": False}


def said(compare: Any = (), **changes: Any) -> list[str]:
    return list(notes(validate(Config(Experiment(tasks=("builtin:digits",), **changes), Runtime(compare=compare)))))


@pytest.mark.parametrize(
    "name", ["base", "base:quick", "base:small", "base:paper", "demo", "demo:paper", "characters:real", "clusters"]
)
def test_nothing_is_said_of_what_ships(name: str) -> None:
    assert list(notes(load_config(name))) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({**RACE, "num_generations": 4, "cycles_per_child": 2}, "num_generations = 4 and experiment.cycles_per_child"),
        ({**RACE, "children_per_generation": 4}, "children_per_generation = 4 has no effect here: experiment.stages"),
        ({**RACE, "mutation_probability": 0.2}, "mutation_probability = 0.2 has no effect here: only evolve stages"),
        ({**RACE, "parent_choice": "random", "jump_probability": 0.1}, "parent_choice = 'random' have no effect"),
        ({"clone_probability": 0.5}, "clone_probability = 0.5 has no effect here: only explore stages"),
        ({"insertion_probability": 0.5}, "and a phase is the paper's generations"),
        ({**RACE, "compression_tolerance": 2.0}, "compression_tolerance = 2.0 has no effect here: only compress"),
        ({**NAMED, "images_per_task": 81_920}, "images_per_task = 81,920 has no effect here but as the most"),
        ({"seed_choice": "fit"}, "seed_choice = 'fit' has no effect here: .* --config.max_seed_parents=2"),
        (FIXED, r"explore:8 has nothing to explore: .*auto_tune = False.* differ in their batches alone"),
        ({**FIXED, "stages": ("explore:4", "explore:2", "train:1")}, "explore:4, explore:2 have nothing to explore"),
        ({**FIXED, "insertion_probability": 1.0}, "differ in their batches or the first values of what is inserted"),
        (
            {**RACE, "insertion_probability": 1.0, "insert_adapters": False},
            "= 1 has no effect here: there are no insertions",
        ),
        (
            {"root_users": "all_tasks"},
            "root_users = 'all_tasks' has no effect here: .*scale_factor = 1",
        ),
        ({**RACE, "size_penalty": "growing"}, "size_penalty = 'growing' has no effect here: .*scale_factor = 1"),
        ({"size_penalty": "growing", "scale_factor": 0.3, "num_generations": 1}, "a phase has one stage that trains"),
        (
            {"search_space": SearchSpace(learning_rate=(0.1, 0.01, 0.2))},
            r"learning_rate = \(0.1, 0.01, 0.2\) is in no order.* \(0.01, 0.1, 0.2\)",
        ),
        (
            {"search_space": SearchSpace(image_size=(48, 32, 64))},
            r"image_size = \(48, 32, 64\) is in no order",
        ),
        (
            {**NAMED, "baseline": Baseline("full", replicas=40)},
            "baseline full takes more images than evolution, 40 cycles a task instead of 26: .*replicas of 26 or less",
        ),
    ],
)
def test_what_has_no_effect_is_said_once(changes: dict[str, Any], says: str) -> None:
    (note,) = said(**{"num_task_iterations": 1, **changes})
    assert re.search(says, note), note


@pytest.mark.parametrize(
    "changes",
    [
        RACE,
        NAMED,
        {**NAMED, "stages": ("explore:8x2", "train:1"), "images_per_task": 81_920},
        {**RACE, "stages": ("evolve:8", "train:1"), "mutation_probability": 0.2, "parent_choice": "random"},
        {**RACE, "clone_probability": 0.5, "insertion_probability": 1.0},
        {**RACE, "stages": ("race", "compress"), "compression_tolerance": 2.0},
        {"num_generations": 4, "children_per_generation": 2, "mutation_probability": 0.2},
        {"seed_choice": "fit", "max_seed_parents": 2},
        {"size_penalty": "growing", "root_users": "all_tasks", "scale_factor": 0.3},
        {"seed_choice": "fit", "baseline": Baseline("full")},
        {**FIXED, "clone_probability": 0.5},
        {**FIXED, "stages": ("explore:1", "train:1")},
        {"search_space": SearchSpace(learning_rate=(0.2, 0.1, 0.01), schedule=("cosine", "constant"))},
        {"search_space": SearchSpace(learning_rate=(0.1, 0.01, 0.2)), "auto_tune": False},
    ],
)
def test_nothing_is_said_of_what_does_something(changes: dict[str, Any]) -> None:
    assert said(**changes) == []


def test_replicas_are_as_many_as_children_of_a_generation() -> None:
    assert said(compare=("full",), children_per_generation=4, **RACE) == []
    assert len(said(compare=("tuned",), children_per_generation=4, **RACE)) == 1
    assert len(said(compare=("full",), children_per_generation=4, baseline=Baseline(replicas=2), **RACE)) == 1


def test_a_baseline_that_cannot_be_as_short_as_evolution_is_named_beside_it() -> None:
    short = {"stages": ("explore:2x1", "train:1x1"), "num_task_iterations": 1}
    first, second = said(compare=("full", "tuned"), **short)
    assert "baseline full takes more images than evolution, 8 cycles a task instead of 3" in first
    assert "baseline tuned takes more images than evolution, 4 cycles a task instead of 3" in second
    assert "Give a grid (learning_rates, augmentations) of 3 or less" in second
