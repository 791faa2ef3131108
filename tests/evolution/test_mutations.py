from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Literal

import pytest

from munet.config import Experiment, Fidelity
from munet.evolution.children import mutated_child
from munet.evolution.mutations import mutate_num_blocks, mutate_settings
from munet.evolution.search_space import MODEL_SETTINGS, default_hyperparameters, values_of
from munet.types import ChildPlan
from tests.evolution.simulation import make_experiment, make_tasks, search_space
from tests.evolution.world import World, draws, trained

TASKS = make_tasks(10, 10)
MU = 0.1


def propose(experiment: Experiment, count: int, blocks: int = 3) -> list[ChildPlan]:
    """Mutated children of a model of another task, everything of which is locked."""
    world = World(experiment, TASKS)
    parent = world.models[world.add("task1", blocks=blocks)]
    state, data = world.state(), default_hyperparameters(experiment)
    return [mutated_child(state, experiment, TASKS[0], 9, parent, data, draws(i)) for i in range(count)]


@cache
def many_children() -> tuple[ChildPlan, ...]:
    return tuple(propose(make_experiment(TASKS), 2000))


def test_fired_mutations_are_binomial() -> None:
    # Seen from a child whose number of blocks stays: 6 settings, 3 adapters, and clones of 3 input layers and 3 blocks.
    counts: Counter[int] = Counter()
    for child in many_children():
        chosen = [mutation for mutation in child.mutations if not mutation.forced]
        if not any(mutation.kind == "num_blocks" for mutation in chosen):
            counts[len(chosen)] += 1
    total, n = sum(counts.values()), 15
    assert abs(total / 2000 - (1 - MU)) < 4 * math.sqrt(MU * (1 - MU) / 2000)
    expected = [total * math.comb(n, k) * MU**k * (1 - MU) ** (n - k) for k in range(n + 1)]
    observed = [counts[k] for k in range(n + 1)]
    tail = 5  # cells above are too rare to be counted alone
    cells = zip([*observed[:tail], sum(observed[tail:])], [*expected[:tail], sum(expected[tail:])], strict=True)
    assert sum((o - e) ** 2 / e for o, e in cells) < 20.5  # chi-square, 5 degrees of freedom: 0.1%


def test_every_action_fires_with_probability_mu() -> None:
    counts: Counter[tuple[str, str]] = Counter(
        (m.kind, m.target) for child in many_children() for m in child.mutations if not m.forced
    )
    always = {("num_blocks", "num_blocks"), *(("hyperparameter", name) for name in MODEL_SETTINGS)}
    always |= {("insert", f"residual_adapter_{i}") for i in (0, 1)}
    always |= {("clone", name) for name in ("embedding", "cls", "posembed_input", "encoderblock_0", "encoderblock_1")}
    assert set(counts) == always | {("insert", "residual_adapter_2"), ("clone", "encoderblock_2")}
    sigma = math.sqrt(MU * (1 - MU) / 2000)
    for action in always:
        assert abs(counts[action] / 2000 - MU) < 4 * sigma, action


def test_no_ops_count_as_fired() -> None:
    children = propose(search_space(make_experiment(TASKS), learning_rate=(0.01, 0.02)), 800)
    steps = [m for child in children for m in child.mutations if m.target == "learning_rate"]
    assert abs(len(steps) / 800 - MU) < 4 * math.sqrt(MU * (1 - MU) / 800)
    stays = [m for m in steps if not m.effective]
    assert abs(len(stays) / len(steps) - 0.5) < 4 * math.sqrt(0.25 / len(steps))
    assert {m.after for m in stays} == {0.01}
    assert stays[0].describe() == "learning_rate stays 0.01"


def test_numeric_mutations_move_at_most_one_position() -> None:
    experiment = make_experiment(TASKS, mutation_probability=1.0)
    for name in MODEL_SETTINGS:
        values = list(values_of(experiment, name))
        for before in values:
            seen = set()
            for i in range(40):
                settings, (mutation,) = mutate_settings(experiment, {name: before}, [name], draws(name, i))
                move = values.index(settings[name]) - values.index(before)
                assert (mutation.before, mutation.after) == (before, settings[name])
                assert mutation.effective == (move != 0)
                seen.add(move)
            at_end = {0} if before in (values[0], values[-1]) else set()
            assert (
                seen == ({-1, 1} - {-1 if before == values[0] else None, 1 if before == values[-1] else None}) | at_end
            )


def test_a_single_value_fixes_a_setting() -> None:
    experiment = search_space(make_experiment(TASKS, mutation_probability=1.0), momentum=(0.9,))
    assert mutate_settings(experiment, {"momentum": 0.9}, ["momentum"], draws()) == ({"momentum": 0.9}, [])


def test_without_auto_tuning_only_architecture_and_clones_mutate() -> None:
    children = propose(make_experiment(TASKS, auto_tune=False, mutation_probability=0.5), 60)
    assert {m.kind for child in children for m in child.mutations} == {"num_blocks", "insert", "clone"}
    defaults = default_hyperparameters(make_experiment(TASKS))
    assert all(child.hyperparameters == defaults for child in children)


def test_without_adapters_none_is_inserted() -> None:
    children = propose(make_experiment(TASKS, insert_adapters=False, mutation_probability=1.0), 5)
    assert not any(m.kind == "insert" for child in children for m in child.mutations)


@pytest.mark.parametrize(("first", "expected"), [(True, {0, 1, 2}), (False, {1, 2})])
def test_adapters_before_the_first_block_are_an_option(first: bool, expected: set[int]) -> None:
    fidelity = Fidelity(adapter_before_first_block=first)
    children = propose(make_experiment(TASKS, fidelity=fidelity, mutation_probability=0.9), 40)
    inserted = {int(m.target[-1]) for child in children for m in child.mutations if m.kind == "insert"}
    assert inserted == expected


def test_adapters_are_drawn_for_the_blocks_that_remain() -> None:
    seen = set()
    for child in propose(make_experiment(TASKS, mutation_probability=1.0), 20, blocks=2):
        blocks = next(int(m.after or 0) for m in child.mutations if m.kind == "num_blocks")
        inserted = [m.target for m in child.mutations if m.kind == "insert"]
        assert inserted == [f"residual_adapter_{i}" for i in range(blocks)]
        assert trained(child) >= {*inserted, *(f"encoderblock_{i}" for i in range(blocks)), "embedding", "cls"}
        seen.add(blocks)
    assert seen == {1, 3}


@pytest.mark.parametrize("growth", [True, False])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_number_of_blocks_moves_by_one_within_its_bounds(blocks: int, growth: bool) -> None:
    fidelity = Fidelity(allow_block_growth=growth)
    experiment = make_experiment(TASKS, mutation_probability=1.0, fidelity=fidelity)
    seen = set()
    for i in range(40):
        after, (mutation,) = mutate_num_blocks(experiment, blocks, draws(i))
        assert (mutation.before, mutation.after, mutation.effective) == (blocks, after, after != blocks)
        seen.add(after)
    assert seen == {max(blocks - 1, 1), min(blocks + 1, 3) if growth else blocks}


@pytest.mark.parametrize(("removal", "share"), [("mu", 1.0), ("half_mu", 0.5)])
def test_where_blocks_cannot_grow_removal_fires_with_mu_or_half_of_it(
    removal: Literal["mu", "half_mu"], share: float
) -> None:
    """The paper's action removes whenever it fires; as a step up or down it does so half the time."""
    fidelity = Fidelity(allow_block_growth=False, block_removal=removal)
    experiment = make_experiment(TASKS, mutation_probability=0.4, fidelity=fidelity)
    expected = 0.4 * share
    for blocks in (2, 3):
        removed = sum(mutate_num_blocks(experiment, blocks, draws(i))[0] == blocks - 1 for i in range(2000))
        assert abs(removed / 2000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 2000)
    assert {mutate_num_blocks(experiment, 1, draws(i))[0] for i in range(50)} == {1}  # one is left


def test_directions_are_equally_likely() -> None:
    experiment = make_experiment(TASKS, mutation_probability=1.0)
    ups = sum(mutate_num_blocks(experiment, 2, draws(i))[0] == 3 for i in range(1000))
    assert abs(ups / 1000 - 0.5) < 4 * math.sqrt(0.25 / 1000)


def test_draws_of_actions_are_independent_of_each_other() -> None:
    # One draw a named action: taking an action away leaves all others as they were.
    full = propose(make_experiment(TASKS, mutation_probability=0.3), 30)
    fewer = propose(search_space(make_experiment(TASKS, mutation_probability=0.3), momentum=(0.9,)), 30)
    for with_all, without in zip(full, fewer, strict=True):
        assert [m for m in with_all.mutations if m.target != "momentum"] == list(without.mutations)
        assert replace(with_all, mutations=(), hyperparameters={}) == replace(without, mutations=(), hyperparameters={})
