"""Snapshots of the run state: when one is due, and that loading with or without gives the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from munet.evolution.sorted_map import SortedMap
from munet.store import Store
from munet.system import replay
from munet.system.replay import RunState
from munet.types import PhaseEntry, SeedsEntry
from tests.evolution.simulation import make_experiment, make_tasks, simulate

TASKS = make_tasks(*[4] * 24)
BUDGET = {"num_generations": 1, "children_per_generation": 3, "cycles_per_child": 1, "max_seed_parents": 1}


def test_the_larger_the_system_the_fewer_the_snapshots(tmp_path: Path) -> None:
    run = simulate(make_experiment(TASKS, **BUDGET), TASKS)
    store = Store(tmp_path)
    folded: RunState | None = None
    waits = []
    for entry in run.entries:
        store.journal.append(entry)
        folded = replay.tell(run.controller, folded, entry)
        if isinstance(entry, PhaseEntry):
            before = folded
            folded = replay.save_snapshot(folded, store)
            # Three children a phase: in every phase up to 12 models, in every second one above.
            assert (folded is before) == (
                len(folded.state.models) > 12 and folded.saved_at != folded.state.next_model_id
            )
            waits.append((folded.state.next_model_id - folded.saved_at) // 3)
            # What a killed run finds, with whatever is to be replayed.
            loaded = replay.load(run.controller, Store(tmp_path))
            assert loaded == folded
            assert loaded.saved_at == folded.saved_at
    assert folded is not None
    assert sum(waits[:11]) == 0
    assert set(waits[-24:]) == {0, 1, 2}
    assert folded.saved_at < folded.state.next_model_id
    last = replay.save_snapshot(folded, store, is_last=True)
    assert last.saved_at == folded.state.next_model_id
    assert replay.load(run.controller, Store(tmp_path)) == folded == last
    chosen = simulate(make_experiment(TASKS[:4], **BUDGET, seed_choice="fit"), TASKS[:4])
    place = next(place for place, entry in enumerate(chosen.entries) if isinstance(entry, SeedsEntry))
    for state in chosen.states[place - 1 : place + 1]:  # with the candidates, and with the chosen ones
        known = RunState(state)
        assert replay.from_json(json.loads(json.dumps(replay.to_json(known)))) == known
    timed = replace(last, programs=("a", "b"), latencies=SortedMap({"b": 0.1, "a": 3.0}), image_steps=7)
    assert replay.from_json(json.loads(json.dumps(replay.to_json(timed)))) == timed


def test_a_snapshot_of_an_older_version_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    run = simulate(make_experiment(TASKS[:2], **BUDGET), TASKS[:2])
    store = Store(tmp_path)
    folded: RunState | None = None
    for entry in run.entries:
        store.journal.append(entry)
        folded = replay.tell(run.controller, folded, entry)
    assert folded is not None
    sound = replay.to_json(folded)
    old = {**sound, "state": {**sound["state"], "users": {}, "components": {}}}  # by id, as it was
    nested = {**sound, "state": {**sound["state"], "models": [[0]]}}
    contents: list[Any] = [old, nested, {**sound, "more": 1}, {**sound, "state": 3}, [], None]
    for content in contents:
        store.snapshots.save(folded.length, store.journal.head_hash, json.loads(json.dumps(content)))
        assert replay.load(run.controller, Store(tmp_path)) == folded
