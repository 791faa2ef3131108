from __future__ import annotations

import shutil
from pathlib import Path

from munet.report import history
from munet.report.graph.page import to_page
from munet.report.history import History
from munet.system import view
from munet.types import ComponentId, GenerationEntry, PhaseEntry, Position, StartEntry
from tests.compression.compressed_run import compressed, entry_of, write_smooth_run
from tests.evolution.simulation import Simulation, make_experiment, make_tasks, simulate
from tests.report.stored_run import SMALL, write_run


def simulated() -> tuple[Simulation, History]:
    tasks = make_tasks(3, 5, 4)
    run = simulate(make_experiment(tasks, **SMALL, mutation_probability=0.4), tasks)
    return run, history.fold(run.controller, run.entries)


def test_a_frame_is_a_journal_entry() -> None:
    run, folded = simulated()
    assert [frame.entry for frame in folded.frames] == list(run.entries)
    assert [frame.place for frame in folded.frames] == list(range(len(run.entries)))
    assert isinstance(folded.frames[0].entry, StartEntry)
    assert folded.frames[0].changed == {}
    assert folded.frames[0].num_params == 0


def test_frames_show_retained_models_and_the_best_candidate_of_the_active_task() -> None:
    run, folded = simulated()
    seen = set()
    for frame, models, state in zip(folded.frames, folded.systems(), run.states, strict=True):
        wanted = {task: state.models[model] for task, model in state.retained.items()}
        if state.active:
            wanted[run.controller.task(state).name] = run.controller.best(state)
        assert {task: (model.id, model.test_quality) for task, model in models.items()} == {
            task: (model.id, model.test_quality) for task, model in wanted.items()
        }
        used = {id for model in wanted.values() for id in state.used_by(model)}
        assert frame.num_params == sum(state.components[id].num_params for id in used)
        if frame.candidate is not None:
            assert isinstance(frame.entry, GenerationEntry)
            assert frame.candidate == frame.entry.task
            assert state.retained.get(frame.candidate) != wanted[frame.candidate].id
        seen.add(frame.candidate)
    assert {None, "task0", "task1", "task2"} == seen


def test_a_tested_model_is_a_change() -> None:
    _, folded = simulated()
    tested = 0
    for frame, models in zip(folded.frames, folded.systems(), strict=True):
        if isinstance(frame.entry, PhaseEntry):
            model = models[frame.entry.task]
            tested += frame.entry.task in frame.changed
            assert model.id == frame.entry.retained
            assert model.test_quality == frame.entry.test_quality
    assert tested >= 3


def test_it_says_who_trained_a_component_last_as_the_view_does(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7))
    run = view.open(str(tmp_path))
    folded = history.of_run(run)
    assert {id: folded.trained_last(id) for id in run.components} == {id: run.trained_last(id) for id in run.components}


def test_records_suffice(tmp_path: Path) -> None:
    """Files of models that are gone are gone, and here all others, too."""
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6)
    with_files = history.of_run(view.open(str(tmp_path)))
    shutil.rmtree(tmp_path / "components")
    assert history.of_run(view.open(str(tmp_path))) == with_files
    gone: set[ComponentId] = set(with_files.components) - set(view.open(str(tmp_path)).components)
    assert gone


def test_compressed_models_take_the_places_of_those_they_replace(tmp_path: Path) -> None:
    run = write_smooth_run(tmp_path)
    before = history.of_run(run)
    entry = entry_of(run, compressed(run))
    assert entry.published
    after = history.fold(run.controller, [*(frame.entry for frame in before.frames), entry])
    assert after.frames[:-1] == before.frames
    last = after.frames[-1]
    assert {model.id for model in last.changed.values() if model} == {model.measured.retained for model in entry.models}
    assert 0 < last.num_params < before.frames[-1].num_params
    for id, record in entry.published.items():
        assert after.trained_last(id) == before.trained_last(record.parent or "")
        assert record.base is None or record.base in after.components
    to_page(run.tasks, after)  # bases are drawn with what is added to them


def test_an_unfinished_phase_has_its_frames(tmp_path: Path) -> None:
    write_run(tmp_path, until=Position(0, 1, 1))
    folded = history.of_run(view.open(str(tmp_path)))
    assert folded.frames[-1].candidate == "task1"
    assert set(list(folded.systems())[-1]) == {"task0", "task1"}
