from __future__ import annotations

import pytest

from munet.errors import CorruptionError
from munet.evolution.controller import replay
from tests.evolution.simulation import make_experiment, make_tasks, simulate

TASKS = make_tasks(10, 10)


def test_replay_needs_a_beginning() -> None:
    experiment = make_experiment(TASKS, num_generations=1)
    simulation = simulate(experiment, TASKS)
    with pytest.raises(CorruptionError, match="empty"):
        replay(simulation.controller, [])
    with pytest.raises(CorruptionError, match="start entry"):
        replay(simulation.controller, simulation.entries[1:])
    with pytest.raises(CorruptionError, match="cannot follow"):
        replay(simulation.controller, (*simulation.entries[:1], *simulation.entries[2:]))
