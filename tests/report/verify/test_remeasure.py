from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import munet
from munet.data.tasks import load_task
from munet.errors import UserError
from munet.report.verify.verify import remeasure, verify
from munet.system import view
from munet.types import Quality
from tests import tiny_run
from tests.report.stored_run import write_run

URI = "builtin:digits"


def test_test_accuracy_measured_again_is_that_of_prediction(tmp_path: Path) -> None:
    task = load_task(URI, cache_dir="off")
    write_run(tmp_path, tasks=(task.info,), num_blocks=1)
    opened = munet.open(str(tmp_path))
    with task.testing():
        split = task.split("test")
    predicted = opened.predict("digits", split.decoded).indices
    expected = Quality(int((predicted == split.labels).sum()), len(split.labels))
    assert remeasure(cache_dir="off")(opened, "digits") == expected
    (problem,) = verify(str(tmp_path), remeasure(cache_dir="off")).problems  # the simulation's is invented
    assert f"gets {expected.correct} of {expected.counted} test images right" in problem.text


def test_other_data_than_the_runs_is_refused(tmp_path: Path) -> None:
    info = replace(load_task(URI, cache_dir="off").info, fingerprint="0" * 64)
    write_run(tmp_path, tasks=(info,), num_blocks=1)
    with pytest.raises(UserError, match=r"not the data that the run used \(then -> now\): .*fingerprint 0{12} -> "):
        remeasure(cache_dir="off")(view.open(str(tmp_path)), "digits")


def test_what_has_changed_in_the_data_is_said(tmp_path: Path) -> None:
    """And where they may be is said once."""
    info = load_task(URI, cache_dir="off").info
    write_run(tmp_path, tasks=(replace(info, num_train=info.num_train + 1, fingerprint="0" * 64),), num_blocks=1)
    (problem,) = verify(str(tmp_path), remeasure(cache_dir="off")).problems
    assert problem.text.endswith("1,440 / 179 / 179 -> 1,439 / 179 / 179 train / validation / test images.")
    assert "data directory" in problem.advice


def test_relative_paths_are_looked_for_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    tiny_run.write_data(started / "data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(started)
    task = load_task("npz:data/left.npz", cache_dir="off")
    write_run(tmp_path / "run", tasks=(task.info,), num_blocks=1)
    opened = view.open(str(tmp_path / "run"))
    assert opened.start.folder == ""  # as in journals that do not say it
    measure = remeasure(cache_dir="off")
    expected = measure(opened, "left")
    known = replace(opened, start=replace(opened.start, folder=str(started)))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert measure(known, "left") == expected
    with pytest.raises(UserError, match=r"data/left\.npz"):
        measure(opened, "left")


def test_data_that_are_not_there_are_said_task_by_task_and_what_to_do_once(tmp_path: Path) -> None:
    tasks = tuple(replace(load_task(URI, cache_dir="off").info, name=name) for name in ("one", "two"))
    write_run(tmp_path, tasks=tasks, num_blocks=1)

    def measure(system: view.RunView, task: str) -> Quality:
        raise UserError(f"tfds:{task} is not prepared in /data.\nTo prepare it, once: tfds build {task}")

    report = verify(str(tmp_path), measure)
    assert [problem.text.rpartition(": ")[2] for problem in report.problems] == [
        "tfds:one is not prepared in /data.",
        "tfds:two is not prepared in /data.",
    ]
    assert str(report).count("--data_dir=DIR") == 1
