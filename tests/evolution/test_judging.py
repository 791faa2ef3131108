from __future__ import annotations

import math
from dataclasses import replace

import pytest

from munet.evolution import judging
from munet.evolution.state import EvolutionError
from munet.vit import architecture
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World

# demo/16 at 32x32, by hand: width 64, MLP 256.
EMBEDDING = 16 * 16 * 3 * 64 + 64
CLS, POSITION, NORM = 64, 5 * 64, 128
BLOCK = 4 * (64 * 64 + 64) + 2 * 128 + (64 * 256 + 256) + (256 * 64 + 64)
TRUNK = EMBEDDING + CLS + POSITION + 3 * BLOCK + NORM

TASKS = make_tasks(10, 20, 30)
HEADS = [65 * 10, 65 * 20, 65 * 30]


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS), TASKS)


def accounted(world: World, model: int) -> float:
    record = world.models[model]
    assert record.task is not None
    return judging.accounted_params(world.state(), record.components.values(), record.task)


def test_one_task_accounts_for_everything_it_uses(world: World) -> None:
    model = world.add("task0")
    assert accounted(world, model) == TRUNK + HEADS[0]  # the root is no user


def test_two_tasks_share_the_root_in_halves(world: World) -> None:
    models = world.add("task0"), world.add("task1")
    assert [accounted(world, m) for m in models] == [TRUNK / 2 + HEADS[0], TRUNK / 2 + HEADS[1]]


def test_three_tasks_of_which_two_share_a_clone(world: World) -> None:
    first = world.add("task0")
    second = world.add("task1", own=["encoderblock_2", "encoder_norm"])
    third = world.add("task2", second, own=["encoder_norm"])
    below = EMBEDDING + CLS + POSITION + 2 * BLOCK  # used by all three
    assert accounted(world, first) == pytest.approx(below / 3 + BLOCK + NORM + HEADS[0])
    assert accounted(world, second) == pytest.approx(below / 3 + BLOCK / 2 + NORM + HEADS[1])
    assert accounted(world, third) == pytest.approx(below / 3 + BLOCK / 2 + NORM + HEADS[2])
    unique = TRUNK + BLOCK + 2 * NORM + sum(HEADS)
    assert judging.total_params(world.state()) == unique
    assert sum(accounted(world, m) for m in (first, second, third)) == pytest.approx(unique)
    assert judging.params_per_task(world.state()) == pytest.approx(unique / 3)


def test_root_counts_only_where_it_is_used(world: World) -> None:
    world.add("task0", own=architecture.path_names(3))
    assert judging.total_params(world.state()) == TRUNK + HEADS[0]


def test_active_models_of_the_same_task_are_no_other_users(world: World) -> None:
    previous = world.add("task0", active=True)  # retained in the first iteration, active in the second
    child = world.add("task0", previous, own=["encoder_norm"], retained=False, active=True)
    world.add("task1")
    shared = TRUNK - NORM
    assert accounted(world, previous) == (shared + NORM) / 2 + HEADS[0]
    assert accounted(world, child) == shared / 2 + NORM + HEADS[0]


def test_a_model_that_is_not_retained_yet_shares_with_those_that_are(world: World) -> None:
    for task in ("task1", "task2"):
        world.add(task)
    models = [world.add("task0", retained=False, active=True) for _ in range(2)]
    assert [accounted(world, model) for model in models] == [pytest.approx(TRUNK / 3 + HEADS[0])] * 2


def test_score_is_quality_without_a_size_penalty(world: World) -> None:
    model = world.models[world.add("task0", quality=37)]
    assert judging.score(world.state(), model, world.experiment) == 0.37


@pytest.mark.parametrize("scale", [0.02, 0.3, 0.9])
def test_score_falls_with_size_at_equal_quality(world: World, scale: float) -> None:
    small, large = world.add("task0", blocks=1), world.add("task1", own=["encoderblock_0"])
    experiment = replace(world.experiment, scale_factor=scale)
    state = world.state()
    scores = [judging.score(state, world.models[m], experiment) for m in (small, large)]
    assert scores[0] > scores[1]
    root = TRUNK + 65 * 2
    for model, value in zip((small, large), scores, strict=True):
        assert value == pytest.approx(0.5 * scale ** (accounted(world, model) / root))


def test_scores_change_when_others_change(world: World) -> None:
    experiment = replace(world.experiment, scale_factor=0.5)
    model = world.models[world.add("task0")]
    before = judging.score(world.state(), model, experiment)
    world.add("task1")
    assert judging.score(world.state(), model, experiment) > before


@pytest.mark.parametrize(
    ("variant", "blocks", "size", "expected"),
    [
        ("Ti/16", 3, 32, 1_484_162),
        ("B/16", 12, 32, 85_652_738),
        ("B/16", 12, 80, 85_668_866),
        ("L/16", 24, 224, 303_303_682),
    ],
)
def test_normaliser(variant: str, blocks: int, size: int, expected: int) -> None:
    experiment = make_experiment(TASKS, variant=variant, num_blocks=blocks)
    experiment = replace(experiment, defaults=replace(experiment.defaults, image_size=size))
    assert judging.root_params(experiment) == expected


def test_equal_sharing_scores_equally_in_any_order(world: World) -> None:
    # Thirds do not add up exactly; which model wins must not depend on the order of summation.
    for task in ("task1", "task2"):
        world.add(task)
    components = list(world.models[world.add("task0", own=["encoderblock_1"])].components.values())
    state = world.state()
    values = {judging.accounted_params(state, components[i:] + components[:i], "task0") for i in range(8)}
    assert len(values) == 1
    assert math.isclose(values.pop(), (TRUNK - BLOCK) / 3 + BLOCK + HEADS[0])


def test_root_has_no_score(world: World) -> None:
    with pytest.raises(EvolutionError, match="Model 0 was never trained"):
        judging.score(world.state(), world.models[0], world.experiment)
