"""A run that is extended does what the run of all its tasks does, entry by entry; what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from munet.config import Experiment, SearchSpace
from munet.errors import CorruptionError
from munet.evolution.controller import Controller, replay
from munet.evolution.state import State
from munet.store import codec
from munet.system import state_file
from munet.types import ExtendEntry, GenerationEntry, PhaseEntry, Position, SeedsEntry
from tests.evolution.simulation import make_experiment, make_tasks, next_entry, simulate
from tests.evolution.test_runs import assert_indices_are_those_made_from_scratch

Told = SeedsEntry | GenerationEntry | PhaseEntry

TASKS = make_tasks(10, 37, 10, 10)
CONFIGS: dict[str, dict[str, Any]] = {
    "paper": {"num_generations": 3, "mutation_probability": 0.3, "scale_factor": 0.5},
    "fit": {"max_seed_parents": 2, "children_per_generation": 3, "num_generations": 2, "seed_choice": "fit"},
    "race": {"stages": ("explore:6", "narrow:3", "train:1"), "images_per_task": 40_000, "max_seed_parents": 2},
    "baseline": {"num_generations": 2},
}


def experiment(name: str, iterations: int = 1) -> Experiment:
    found = make_experiment(TASKS, num_task_iterations=iterations, **CONFIGS[name])
    return replace(found, baseline=replace(found.baseline, kind="full")) if name == "baseline" else found


def go_on(controller: Controller, state: State) -> tuple[list[Told], State]:
    entries: list[Told] = []
    while not controller.is_complete(state):
        entries.append(next_entry(controller, state))
        state = controller.tell(state, entries[-1])
    return entries, state


def without_plan(state: State) -> State:
    return replace(state, plan=None)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("first", [1, 3])
def test_an_extended_run_is_the_run_of_all_tasks(name: str, first: int) -> None:
    whole = simulate(experiment(name), TASKS)
    begun = simulate(experiment(name), TASKS[:first])
    names = tuple(task.name for task in TASKS[first:])
    entry = ExtendEntry(begun.final.position, TASKS[first:], names)
    state = begun.controller.tell(begun.final, entry)
    assert not begun.controller.is_complete(state)
    entries, end = go_on(begun.controller, state)
    assert [*begun.entries[1:], *entries] == list(whole.entries[1:])
    assert without_plan(end) == whole.final
    assert begun.controller.is_complete(end)


def test_one_task_after_the_other_is_the_run_of_all_tasks() -> None:
    whole = simulate(experiment("paper"), TASKS)
    begun = simulate(experiment("paper"), TASKS[:1])
    entries, state = list(begun.entries), begun.final
    for task in TASKS[1:]:
        state = begun.controller.tell(state, ExtendEntry(state.position, (task,), (task.name,)))
        more, state = go_on(begun.controller, state)
        entries += more
    assert entries[1:] == list(whole.entries[1:])
    assert without_plan(state) == whole.final


def test_a_stopped_run_takes_phases_behind_its_own() -> None:
    """Extended in the middle of a phase it goes on as if nothing had happened, and ends with what is new."""
    whole = simulate(experiment("paper"), TASKS[:3])
    controller = whole.controller
    for cut in (0, 2, 7):
        state = whole.states[cut]
        entry = ExtendEntry(state.position, TASKS[3:], ("task3", "task0", "task3"))
        state = controller.tell(state, entry)
        assert state.position == whole.states[cut].position
        entries, end = go_on(controller, state)
        assert entries[: len(whole.entries) - cut - 1] == list(whole.entries[cut + 1 :])
        phases = [(entry.task, entry.position.task_iteration) for entry in entries if isinstance(entry, PhaseEntry)]
        assert phases[-3:] == [("task3", 0), ("task0", 1), ("task3", 1)]
        assert end.position == Position(2, 0, 0)


def test_another_phase_is_another_iteration_of_the_task() -> None:
    """Of a run of one iteration and all its tasks once more comes the run of two iterations."""
    twice = simulate(experiment("paper", 2), TASKS[:3])
    once = simulate(experiment("paper", 1), TASKS[:3])
    names = tuple(task.name for task in TASKS[:3])
    state = once.controller.tell(once.final, ExtendEntry(once.final.position, (), names))
    entries, end = go_on(once.controller, state)
    assert [*once.entries[1:], *entries] == list(twice.entries[1:])
    assert without_plan(end) == twice.final


def test_other_settings_hold_for_what_is_new_alone() -> None:
    begun = simulate(experiment("race"), TASKS[:3])
    controller, learnt = begun.controller, begun.final.evidence
    space = codec.to_json(SearchSpace())
    rates = [*space["learning_rate"], 1.0]
    settings = {"stages": ["explore:3", "train:1"], "search_space": {"learning_rate": rates}}
    state = controller.tell(begun.final, ExtendEntry(begun.final.position, TASKS[3:], ("task3",), settings))
    assert controller.experiment == experiment("race")
    assert [str(stage) for stage in controller.settings(state).stages] == ["explore:3", "train:1"]
    assert state.evidence["learning_rate"] == (*learnt["learning_rate"], (0.0, 0.0))
    assert {name: row for name, row in state.evidence.items() if name != "learning_rate"} == {
        name: row for name, row in learnt.items() if name != "learning_rate"
    }
    entries, end = go_on(controller, state)
    assert len(entries) == 2 + 1
    assert controller.plan(end).num_generations() == 3 * 3 + 2
    assert replay(controller, entries, state) == end


@pytest.mark.parametrize("name", CONFIGS)
def test_states_and_entries_survive_json(name: str) -> None:
    begun = simulate(experiment(name), TASKS[:3])
    entry = ExtendEntry(begun.final.position, TASKS[3:], ("task3", "task0"), {"search_space": {"flip": [True, False]}})
    again = codec.from_json(ExtendEntry, json.loads(json.dumps(codec.to_json(entry))))
    assert begun.controller.tell(begun.final, again) == begun.controller.tell(begun.final, entry)
    state = begun.controller.tell(begun.final, entry)
    while not begun.controller.is_complete(state):
        assert_indices_are_those_made_from_scratch(state)
        same = state_file.from_json(json.loads(json.dumps(state_file.to_json(state))))
        assert same == state
        assert begun.controller.is_complete(same) == begun.controller.is_complete(state)
        state = begun.controller.tell(same, next_entry(begun.controller, same))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": Position(0, 1, 0)}, "extended at Position.*that is at"),
        ({"phases": ()}, "extended by nothing"),
        ({"tasks": TASKS[:1]}, "second task called 'task0'"),
        ({"tasks": TASKS[3:] * 2}, "second task called 'task3'"),
        ({"phases": ("task3", "photos")}, "phase of 'photos'"),
        ({"phases": ("task0",)}, "new task 'task3' without a phase"),
        ({"settings": {"scale_factor": 0.5}}, "another experiment.scale_factor"),
    ],
)
def test_an_entry_that_does_not_follow_is_refused(changes: dict[str, Any], message: str) -> None:
    begun = simulate(experiment("paper"), TASKS[:3])
    entry = replace(ExtendEntry(begun.final.position, TASKS[3:], ("task3",)), **changes)
    with pytest.raises(CorruptionError, match=message):
        begun.controller.tell(begun.final, entry)


def test_phases_that_wait_keep_their_settings() -> None:
    begun = simulate(experiment("paper"), TASKS[:3])
    entry = ExtendEntry(begun.states[3].position, TASKS[3:], ("task3",), {"num_generations": 1})
    with pytest.raises(CorruptionError, match="still open"):
        begun.controller.tell(begun.states[3], entry)
