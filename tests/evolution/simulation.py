"""Whole runs of the controller without training, entry by entry (`munet.run.rehearsal`), with all their states.

Importable by other tests: `from tests.evolution.simulation import make_experiment, make_tasks, simulate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from munet.config import Defaults, Experiment, SearchSpace
from munet.evolution.controller import Controller
from munet.evolution.state import State, initial_state
from munet.run.rehearsal import Invention, invent, next_entry, start_entry
from munet.types import CycleQualities, JournalEntry, Quality, TaskInfo

__all__ = [
    "Invention",
    "Simulation",
    "constant",
    "invent",
    "make_experiment",
    "make_tasks",
    "next_entry",
    "search_space",
    "simulate",
    "start_entry",
]


def make_tasks(*num_classes: int) -> tuple[TaskInfo, ...]:
    """Tasks `task0`, `task1`, ... with these numbers of classes."""
    return tuple(
        TaskInfo(f"task{i}", f"builtin:task{i}", f"print{i}", tuple(str(c) for c in range(n)), 800, 100, 100)
        for i, n in enumerate(num_classes)
    )


def make_experiment(tasks: Sequence[TaskInfo], **changes: Any) -> Experiment:
    """The default experiment on `tasks` with some fields changed; the root is demo/16 with 3 blocks."""
    return replace(Experiment(tasks=tuple(task.uri for task in tasks)), **changes)


def constant(correct: int, counted: int = 100) -> Invention:
    """A trainer that gives every child the same quality in every cycle."""
    return lambda child, cycles: CycleQualities((Quality(correct, counted),) * cycles)


@dataclass(frozen=True)
class Simulation:
    """A simulated run: `states[i]` is the state after `entries[i]`."""

    controller: Controller
    entries: tuple[JournalEntry, ...]
    states: tuple[State, ...]

    @property
    def final(self) -> State:
        """The last state."""
        return self.states[-1]


def simulate(
    experiment: Experiment,
    tasks: Sequence[TaskInfo],
    trainer: Invention = invent,
    stop: Callable[[State], bool] = lambda _: False,
) -> Simulation:
    """Runs the controller until it is complete or `stop` says so."""
    controller = Controller(experiment, tasks)
    entries: list[JournalEntry] = [start_entry(experiment, tasks)]
    states = [initial_state(start_entry(experiment, tasks))]
    while not controller.is_complete(states[-1]) and not stop(states[-1]):
        entry = next_entry(controller, states[-1], trainer)
        entries.append(entry)
        states.append(controller.tell(states[-1], entry))
    return Simulation(controller, tuple(entries), tuple(states))


def search_space(experiment: Experiment, **changes: Any) -> Experiment:
    """The experiment with some lists of the search space (and their defaults, where not in the list) changed."""
    space: SearchSpace = replace(experiment.search_space, **changes)
    fixed = {name: values[0] for name, values in changes.items() if getattr(experiment.defaults, name) not in values}
    defaults: Defaults = replace(experiment.defaults, **fixed)
    return replace(experiment, search_space=space, defaults=defaults)
