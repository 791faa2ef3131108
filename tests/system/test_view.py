from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import munet
from munet.errors import CorruptionError, UserError, WorkdirError
from munet.store import Store
from munet.system import view
from munet.types import Position
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
        f"import sys, munet; munet.open({str(run)!r}).graph(); from munet.report import status, verify, comparison; "
        f"from munet.cli.main import main; sys.exit(main({report}) or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
