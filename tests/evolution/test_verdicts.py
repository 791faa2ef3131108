from __future__ import annotations

from dataclasses import replace

import pytest

from munet.config import Experiment
from munet.evolution.children import mutated_child
from munet.evolution.judging import best_cycle, judge_child
from munet.evolution.search_space import default_hyperparameters
from munet.types import ChildPlan, CycleQualities, ModelId, Quality, Verdict
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World, draws

TASKS = make_tasks(10, 10)


def training(*correct: int, diverged_at: int | None = None) -> CycleQualities:
    return CycleQualities(tuple(Quality(c, 100) for c in correct), diverged_at)


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS, mutation_probability=0.0), TASKS)


def child_of(world: World, parent: ModelId) -> ChildPlan:
    data = default_hyperparameters(world.experiment)
    record = world.models[parent]
    return mutated_child(world.state(), world.experiment, TASKS[0], 99, record, data, draws())


def judge(world: World, parent: ModelId, given: CycleQualities, experiment: Experiment | None = None) -> Verdict:
    return judge_child(world.state(), experiment or world.experiment, child_of(world, parent), given, 10)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (training(1, 5, 3), 1),
        (training(5, 5, 5), 0),  # the first of equals
        (training(5, 9, 9, diverged_at=1), 0),
        (training(5, 7, 9, diverged_at=2), 1),
        (training(5, 7, diverged_at=0), None),
        (training(), None),
        (training(0, 0), 0),
    ],
)
def test_best_cycle(given: CycleQualities, expected: int | None) -> None:
    assert best_cycle(given) == expected


def test_qualities_are_compared_as_exact_ratios() -> None:
    # In floats both are 0.1: the second is larger by 1e-33.
    close = (Quality(10**16, 10**17), Quality(10**16 + 1, 10**17 + 9))
    assert best_cycle(CycleQualities(close)) == 1


def test_parent_must_be_beaten_strictly(world: World) -> None:
    parent = world.add("task0", own=["encoder_norm"], quality=50, retained=False, active=True)
    assert judge(world, parent, training(40, 51)) == Verdict(True, "0.5100 > 0.5000 of its parent", 1, 0.51, 0.5)
    assert judge(world, parent, training(50, 50)).is_kept is False  # early pruning of a tie
    assert judge(world, parent, training(49)) == Verdict(
        False, "never beat its parent's 0.5000 (best 0.4900)", 0, 0.49, 0.5
    )


def test_best_cycle_counts_not_the_last(world: World) -> None:
    parent = world.add("task0", quality=50, retained=False, active=True)
    verdict = judge(world, parent, training(20, 80, 30))
    assert (verdict.is_kept, verdict.best_cycle, verdict.score) == (True, 1, 0.8)


def test_children_of_other_tasks_models_are_always_kept(world: World) -> None:
    other = world.add("task1", quality=99)
    for parent in (0, other):
        verdict = judge(world, parent, training(0, 0))
        assert (verdict.is_kept, verdict.best_cycle, verdict.parent_score) == (True, 0, None)
        assert verdict.reason == "0.0000, and its parent was not trained on task0"


def test_diverged_children_are_never_kept_for_what_came_after(world: World) -> None:
    parent = world.add("task0", quality=50, retained=False, active=True)
    nothing = judge(world, 0, training(90, 90, diverged_at=0))
    assert nothing == Verdict(False, "gave no finite result; diverged in cycle 1")
    assert not judge(world, parent, training(40, 90, diverged_at=1)).is_kept
    kept = judge(world, parent, training(60, 90, diverged_at=1))
    assert (kept.is_kept, kept.best_cycle) == (True, 0)
    assert kept.reason == "0.6000 > 0.5000 of its parent; diverged in cycle 2"


def test_size_counts_in_the_comparison(world: World) -> None:
    # The child trains a copy of the norm that its parent shares with another task.
    world.add("task1")
    parent = world.add("task0", quality=50, retained=False, active=True)
    small = replace(world.experiment, scale_factor=0.02)
    assert not judge(world, parent, training(50), small).is_kept
    assert judge(world, parent, training(51), small).is_kept
    smaller = child_of(world, parent)
    smaller = replace(smaller, components=tuple(p for p in smaller.components if p.name != "encoderblock_2"))
    assert judge_child(world.state(), small, smaller, training(49), 10).is_kept


def test_a_child_as_large_and_good_as_its_parent_ties(world: World) -> None:
    # Thirds in the accounting must round alike for a child that is planned and a parent that is stored.
    shared = world.add("task1", own=["embedding", "encoderblock_1"])
    parent = world.add("task0", shared, own=["encoder_norm", "encoderblock_0"], retained=False, active=True)
    experiment = replace(world.experiment, scale_factor=0.3)
    verdict = judge(world, parent, training(50), experiment)
    assert verdict.score == verdict.parent_score
    assert not verdict.is_kept


def test_close_scores_are_told_apart(world: World) -> None:
    parent = world.add("task0", quality=50, retained=False, active=True)
    close = CycleQualities((Quality(500_001, 1_000_000),))
    assert judge(world, parent, close).reason == "0.500001 > 0.500000 of its parent"
