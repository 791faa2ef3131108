"""A complete run that forgets a task keeps every other one as it is, and may have a task of that name again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from munet.errors import CorruptionError
from munet.evolution import judging
from munet.evolution.controller import replay
from munet.evolution.plan import EARLIER
from munet.evolution.state import State
from munet.store import codec
from munet.system import state_file
from munet.types import ComponentRecord, ExtendEntry, ForgetEntry, GenerationEntry, JournalEntry, Position
from tests.evolution.simulation import Simulation, make_experiment, make_tasks, next_entry, simulate
from tests.evolution.test_runs import assert_indices_are_those_made_from_scratch

TASKS = make_tasks(10, 37, 10, 10)


@pytest.fixture(scope="module")
def run() -> Simulation:
    experiment = make_experiment(TASKS, num_generations=3, mutation_probability=0.4, scale_factor=0.5)
    return simulate(experiment, TASKS)


def entry_of(state: State, task: str) -> ForgetEntry:
    return ForgetEntry(state.position, task, state.retained[task])


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_every_other_task_is_as_it_was(run: Simulation, task: str) -> None:
    before, gone = run.final, run.final.models[run.final.retained[task]]
    after = run.controller.tell(before, entry_of(before, task))
    assert run.controller.is_complete(after)
    assert_indices_are_those_made_from_scratch(after)
    assert [*after.retained] == [one for one in before.retained if one != task]
    for model in after.models.values():
        assert model == replace(before.models[model.id], parent=model.parent)
        assert model.id == 0 or model.parent in after.models
    heirs = [model for model in before.models.values() if model.parent == gone.id]
    assert all(after.models[model.id].parent == gone.parent for model in heirs)
    used = {id for model in after.models.values() for id in after.used_by(model)}
    assert {id for id, record in after.components.items() if record.origin != "root"} <= used
    assert set(before.components) - set(after.components) == set(before.used_by(gone)) - used
    shares = [
        judging.accounted_params(after, after.models[id].components.values(), t) for t, id in after.retained.items()
    ]
    assert sum(shares) == pytest.approx(judging.total_params(after))


def test_one_after_the_other_until_none_is_left(run: Simulation) -> None:
    state = run.final
    for task in ("task2", "task0", "task3", "task1"):
        state = run.controller.tell(state, entry_of(state, task))
        same = state_file.from_json(json.loads(json.dumps(state_file.to_json(state))))
        assert same == state
    assert [*state.models] == [0]
    assert all(record.origin == "root" for record in state.components.values())
    assert run.controller.plan(state).living == ()


def test_entries_survive_json(run: Simulation) -> None:
    entry = entry_of(run.final, "task1")
    assert codec.from_json(ForgetEntry, json.loads(json.dumps(codec.to_json(entry)))) == entry


def go_on(run: Simulation, state: State) -> tuple[list[JournalEntry], State]:
    entries: list[JournalEntry] = []
    while not run.controller.is_complete(state):
        entry = next_entry(run.controller, state)
        entries.append(entry)
        state = run.controller.tell(state, entry)
    return entries, state


def test_its_name_may_be_used_again_and_its_training_stays_its_own(run: Simulation) -> None:
    state = run.controller.tell(run.final, entry_of(run.final, "task0"))
    plan = run.controller.plan(state)
    left = [record for record in state.components.values() if "task0" in record.cycles]
    assert left, "something that the others use has seen its images"
    assert all("task0 (forgotten)" in plan.cycles(record) for record in left)
    assert all("task0" not in plan.cycles(record) for record in left)
    other = replace(TASKS[0], fingerprint="other")
    state = run.controller.tell(state, ExtendEntry(state.position, (other,), ("task0",)))
    assert run.controller.task(state) == other
    assert state.position == Position(0, 4, 0)
    entries, end = go_on(run, state)
    plan = run.controller.plan(end)
    assert [task.name for task in plan.living] == ["task1", "task2", "task3", "task0"]
    published = [
        record for entry in entries if isinstance(entry, GenerationEntry) for record in entry.published.values()
    ]
    inherited = [record for record in published if "task0 (forgotten)" in record.cycles]
    assert inherited, "something was cloned from what had seen the first one's images"
    for record in published:
        assert plan.cycles(record) == record.cycles  # of the new one: its own name
        assert record.is_root or record.cycles["task0"] <= 2 * 5 * 3
    assert replay(run.controller, [*run.entries, entry_of(run.final, "task0")]).retained.keys() == {
        "task1",
        "task2",
        "task3",
    }


def test_what_saw_two_forgotten_tasks_of_one_name_saw_both(run: Simulation) -> None:
    state = run.controller.tell(run.final, entry_of(run.final, "task0"))
    other = replace(TASKS[0], fingerprint="other")
    state = run.controller.tell(state, ExtendEntry(state.position, (other,), ("task0",)))
    _, end = go_on(run, state)
    both = ComponentRecord("head", {}, "init", model=end.next_model_id - 1, cycles={"task0 (forgotten)": 2, "task0": 3})
    state = run.controller.tell(end, entry_of(end, "task0"))
    plan = run.controller.plan(state)
    assert plan.cycles(both) == {"task0 (forgotten)": 5}
    neither = replace(both, cycles={"task1": 4})
    long = replace(both, cycles={EARLIER: 9, "task1": 4})
    assert plan.seen({"a": both, "b": neither, "c": long}, "task0") == {"a": 5, "c": 0}
    kept = {id: record for id, record in state.components.items() if "task0" in record.cycles}
    assert kept.keys() <= plan.seen(state.components, "task0").keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "task9"}, "forgets model .* of 'task9'"),
        ({"retained": 1}, "forgets model 1 of 'task1'"),
        ({"position": Position(0, 0, 0)}, "a task forgotten at"),
    ],
)
def test_an_entry_that_does_not_follow_is_refused(run: Simulation, changes: dict[str, Any], message: str) -> None:
    entry = replace(entry_of(run.final, "task1"), **changes)
    with pytest.raises(CorruptionError, match=message):
        run.controller.tell(run.final, entry)


def test_nothing_is_forgotten_while_a_phase_is_open(run: Simulation) -> None:
    state = next(state for state in reversed(run.states) if not run.controller.is_complete(state))
    with pytest.raises(CorruptionError, match="a task forgotten at"):
        run.controller.tell(state, entry_of(state, "task0"))
