"""Which journal entry may follow on a state; of seed parents, extensions and forgotten tasks in tests of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from munet.errors import CorruptionError
from munet.evolution.controller import Controller
from munet.evolution.state import State
from munet.types import GenerationEntry, PhaseEntry, Position, Quality
from tests.evolution.simulation import make_experiment, make_tasks, next_entry
from tests.evolution.world import World

TASKS = make_tasks(10, 10, 10)
END = 2  # generations


def test_entries_that_do_not_follow_are_refused() -> None:
    world = World(make_experiment(TASKS, num_generations=END), TASKS)
    own = world.add("task0", active=True)
    controller, state = Controller(world.experiment, TASKS), world.state()
    entry = next_entry(controller, state)
    assert isinstance(entry, GenerationEntry)
    end = world.state(Position(0, 0, END))
    phase = PhaseEntry(end.position, "task0", own, Quality(1, 2))
    cases: list[tuple[State, GenerationEntry | PhaseEntry]] = [
        (state, replace(entry, position=Position(0, 0, 1))),
        (state, replace(entry, task="task1")),
        (state, phase),
        (end, entry),
        (end, replace(phase, task="task1")),
    ]
    for before, wrong in cases:
        with pytest.raises(CorruptionError, match="cannot follow"):
            controller.tell(before, wrong)
