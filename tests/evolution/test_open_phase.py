"""The best model of the phase that is open, and what is said where there is none."""

from __future__ import annotations

import pytest

from munet.evolution.state import EvolutionError
from munet.types import CycleQualities, PhaseEntry, Quality
from tests.evolution.simulation import constant, make_experiment, make_tasks, simulate

TASKS = make_tasks(10, 10)


def test_a_run_whose_children_all_diverge_says_what_to_change() -> None:
    experiment = make_experiment(TASKS, num_generations=2)
    diverged = CycleQualities((Quality(1, 2),), diverged_at=0)
    with pytest.raises(EvolutionError, match=r"Every child of task 'task0' diverged.*learning_rate"):
        simulate(experiment, TASKS, lambda child, cycles: diverged)


def test_best_takes_the_first_of_equals() -> None:
    simulation = simulate(make_experiment(TASKS, num_generations=2), TASKS, constant(50))
    for before, entry in zip(simulation.states, simulation.entries[1:], strict=False):
        if isinstance(entry, PhaseEntry):
            assert len(before.active) > 1
            assert entry.retained == before.active[0]
