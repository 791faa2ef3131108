from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import munet
from munet.errors import CorruptionError, UserError, WorkdirError
from munet.store import Store
from munet.system import view
from munet.types import GenerationEntry, PhaseEntry, Position
from tests.report.stored_run import arrays_of, write_run
from tests.store import journal_files


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path, num_classes=(3, 5, 7))
    return tmp_path


def test_a_system_is_the_journal_folded(tmp_path: Path) -> None:
    simulation = write_run(tmp_path, num_classes=(3, 5, 7))
    opened = munet.open(str(tmp_path))
    assert opened.state == simulation.final
    assert opened.is_complete
    assert opened.active_task is None
    assert opened.run_state.generations == opened.num_generations == 3 * 2 * 2
    assert [info.name for info in opened.tasks] == list(opened.models) == ["task0", "task1", "task2"]


def test_snapshots_change_nothing(run: Path) -> None:
    with_snapshot = view.open(str(run))
    for file in (run / "snapshots").iterdir():
        file.unlink()
    assert view.open(str(run)).run_state == with_snapshot.run_state


def test_numbers_are_those_of_walking_the_components(run: Path) -> None:
    opened = view.open(str(run))
    users = {id: [t for t, m in opened.models.items() if id in m.components.values()] for id in opened.components}
    assert opened.total_params == sum(record.num_params for record in opened.components.values())
    for task, model in opened.models.items():
        own = model.components.values()
        assert opened.params(task) == sum(opened.components[id].num_params for id in own)
        assert opened.accounted_params(task) == pytest.approx(
            sum(opened.components[id].num_params / len(users[id]) for id in own)
        )
        assert opened.shared_with(task) == {
            other: count
            for other in opened.models
            if other != task and (count := sum(other in users[id] and not opened.components[id].is_root for id in own))
        }
        assert opened.lineage(task)[0] == model.id
        assert opened.lineage(task)[-1] == opened.root.id == 0
    assert opened.params_per_task * 3 == pytest.approx(opened.total_params)


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


def test_arrays_are_those_that_were_published(run: Path) -> None:
    opened = view.open(str(run))
    for name, arrays in opened.load("task1").items():
        expected = arrays_of(opened.components[opened.models["task1"].components[name]])
        assert arrays.keys() == expected.keys()
        assert all(np.array_equal(arrays[path], expected[path]) for path in arrays)


def test_a_run_that_goes_on_is_seen_as_of_opening(tmp_path: Path) -> None:
    simulation = write_run(tmp_path, until=Position(0, 1, 1))
    with Store.create_or_open(tmp_path).lock():  # the run's own
        opened = view.open(str(tmp_path))
    assert (opened.is_complete, opened.active_task, list(opened.models)) == (False, "task1", ["task0"])
    assert opened.position == simulation.final.position
    assert set(opened.components) == set(opened.models["task0"].components.values())
    with pytest.raises(UserError, match=r"'task1' has no model yet.*Solved: task0"):
        opened.score("task1")


def test_an_unknown_task_gets_the_nearest(run: Path) -> None:
    opened = view.open(str(run))
    with pytest.raises(UserError, match=r"no task 'tusk1'.*Did you mean 'task1'"):
        opened.model("tusk1")
    with pytest.raises(UserError, match="Did you mean"):
        opened.task("tusk1")


def test_no_run_and_a_damaged_one_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="no run"):
        view.open(str(tmp_path / "nowhere"))
    first = run / "journal" / "00000000.json"
    journal_files.replace(first, '"seed":0', '"sead":0')
    with pytest.raises(CorruptionError, match="sead"):
        view.open(str(run))


def test_a_view_held_open_while_a_phase_closes_says_that_the_run_went_on(tmp_path: Path) -> None:
    """Not that files are missing; and those that are missing without a reason are still said to be."""
    write_run(tmp_path / "early", until=Position(1, 0, 1), seed=2)
    write_run(tmp_path / "late", until=Position(1, 1, 1), seed=2)
    run = tmp_path / "early"
    opened = view.open(str(run))
    before = opened.models["task0"].id
    for file in sorted((tmp_path / "late" / "journal").iterdir())[len(opened.store.journal) :]:
        shutil.copy(file, run / "journal")
    after = view.open(str(run))
    assert after.models["task0"].id != before, "the case is not in this run: change its seed"
    for id in set(opened.models["task0"].components.values()) - set(after.state.components):
        (run / "components" / f"{id}.safetensors").unlink()
    with pytest.raises(WorkdirError, match=r"has gone on since .*another model of 'task0'.*Open it again"):
        opened.load("task0")
    shutil.copytree(tmp_path / "late" / "components", run / "components", dirs_exist_ok=True)
    after.load("task0")
    (run / "components" / f"{after.models['task0'].components['head']}.safetensors").unlink()
    with pytest.raises(CorruptionError, match="is missing"):
        after.load("task0")


def test_reading_leaves_the_work_directory_as_it_is(run: Path) -> None:
    def listing() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in sorted(run.rglob("*"))}

    before = listing()
    opened = munet.open(str(run))
    opened.graph()
    opened.load("task0")
    assert listing() == before


def test_opening_and_reporting_need_no_jax(run: Path, tmp_path: Path) -> None:
    """Whose import takes longer than all the rest of such a command."""
    report = ["report", f"--workdir={run}", f"--output={tmp_path}/report.html"]
    code = (
        f"import sys, munet; munet.open({str(run)!r}).graph(); from munet.report import status, verify, tables; "
        f"from munet.cli.main import main; sys.exit(main({report}) or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
