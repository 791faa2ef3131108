"""What was drawn before later mutations existed is still drawn: recorded results and journals stay valid.

The digests were taken from the version before LoRA and the score's further factors. A new possible mutation has a name
of its own in the path of its draw; one that a configuration does not allow is not drawn at all.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from munet import rng
from munet.config import Baseline
from munet.types import ChildEntry, ChildPlan, GenerationEntry
from tests.evolution.simulation import make_experiment, make_tasks, simulate

RECORDED: dict[str, tuple[dict[str, Any], str]] = {
    "default": ({}, "8151c4a20b555856"),
    "no_adapters": ({"insert_adapters": False}, "0af341d734dcb19a"),
    "no_autotune": ({"auto_tune": False}, "ef68cd5c5f4a2461"),
    "penalty": ({"scale_factor": 0.3, "mutation_probability": 0.3}, "58a7cea9e8a14b0a"),
    "adapters": ({"baseline": Baseline("adapters", adapter_dim=64)}, "e327bca57984d6d3"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_same_is_drawn_as_ever(name: str) -> None:
    changes, digest = RECORDED[name]
    tasks = make_tasks(10, 37, 5)
    entries = simulate(make_experiment(tasks, num_generations=4, children_per_generation=6, **changes), tasks).entries
    generations = [entry for entry in entries if isinstance(entry, GenerationEntry)]
    shown = [
        ([_plan(child.plan) for child in entry.children], [_verdict(child) for child in entry.children])
        for entry in generations
    ]
    assert hashlib.sha256(repr(shown).encode()).hexdigest()[:16] == digest


def _plan(child: ChildPlan) -> tuple[object, ...]:
    """All of a plan but the ids of components, which are the test's own."""
    parts = [(plan.name, plan.action, plan.trainable) for plan in child.components]
    return (child.id, child.parent, child.is_seed, dict(child.hyperparameters), parts, child.mutations)


def _verdict(child: ChildEntry) -> tuple[object, ...]:
    """With the scores as they are written, four digits: the last bits of a power are the C library's."""
    return (child.verdict.is_kept, child.verdict.best_cycle, child.verdict.reason)


def test_orders_are_those_of_a_fresh_generator_in_every_thread() -> None:
    def orders(seed: int) -> list[np.ndarray]:
        path = ("order", seed)
        return [rng.permutation(path, 9), *rng.permutations(path, 9, 5, 3), rng.permutation(path, 9)]

    def expected(seed: int) -> list[np.ndarray]:
        key = int.from_bytes(rng.digest(("order", seed))[16:32], "big")
        first = np.random.Philox(key=key).random_raw(9)
        later = np.random.Philox(key=key, counter=5 * 3).random_raw(3 * 12).reshape(3, 12)[:, :9]
        return [np.argsort(words) for words in (first, *later, first)]

    with ThreadPoolExecutor(4) as pool:
        for seed, found in enumerate(pool.map(orders, range(40))):
            np.testing.assert_array_equal(found, expected(seed))
