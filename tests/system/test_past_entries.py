"""What a view looks up in the journal again: how phases ended, who published what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import munet
from munet.system import view
from munet.types import GenerationEntry, PhaseEntry, Position
from tests.report.stored_run import write_run


def test_the_end_of_each_phase_is_found_among_entries_that_chose_seed_parents(tmp_path: Path) -> None:
    for until in (None, Position(1, 1, 0), Position(0, 2, 1)):
        place = tmp_path / str(until)
        simulation = write_run(place, num_classes=(3, 5, 7, 9), seed_choice="fit", max_seed_parents=2, until=until)
        last = {entry.task: entry for entry in simulation.entries if isinstance(entry, PhaseEntry)}
        opened = munet.open(str(place))
        assert opened.run_state.generations == sum(isinstance(entry, GenerationEntry) for entry in simulation.entries)
        assert {task: opened.last_phase(task) for task in opened.models} == last


def test_last_trainer_is_the_task_that_published_a_component(tmp_path: Path) -> None:
    simulation = write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6, num_generations=3)
    opened = view.open(str(tmp_path))
    published = {id: e.task for e in simulation.entries if isinstance(e, GenerationEntry) for id in e.published}
    trained = {id for id, record in opened.components.items() if record.cycles}
    assert any(len(opened.components[id].cycles) > 1 for id in trained), "the case is not in this run: change its seed"
    for id in opened.components:
        assert opened.trained_last(id) == (published[id] if id in trained else None)


def test_last_trainer_is_found_when_its_model_is_gone(tmp_path: Path) -> None:
    simulation = write_run(tmp_path, num_classes=(3, 5, 7))
    opened = view.open(str(tmp_path))
    published = {id: e.task for e in simulation.entries if isinstance(e, GenerationEntry) for id in e.published}
    for task, other in (("task0", "task1"), ("task1", "task2")):
        id = opened.models[task].components["head"]
        order = {published[id]: 2, other: 3}  # the last trained need not come last
        state = opened.state
        record = replace(state.components[id], model=999, cycles=order)
        later = replace(opened.run_state, state=replace(state, components=state.components.changed({id: record})))
        assert replace(opened, run_state=later).trained_last(id) == task
