"""`munet forget`: what goes, what stays and what is said of it; what is refused; and a name that is used again."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import munet
from munet.cli.main import main
from munet.errors import UserError, WorkdirError
from munet.progress import events, wording
from munet.report import history
from munet.report.graph import page
from munet.report.verify.verify import remeasure, verify
from munet.run import extend as extending
from munet.run import loop, runs
from munet.run.forget import plan_forgetting
from munet.store import Store
from munet.types import ExtendEntry, Position
from tests import tiny_run
from tests.evolution.simulation import make_tasks
from tests.report.stored_run import write_run
from tests.run.extended_run import request
from tests.run.forget_run import TASK, forget_all, write
from tests.store.killing import contents

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A complete stored run of three tasks."""
    write(tmp_path / "run")
    return tmp_path / "run"


def test_what_only_the_task_used_goes_and_all_else_stays(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, old = contents(run), munet.open(str(run))
    (planned,) = plan_forgetting(str(run), TASK)
    assert contents(run) == before
    assert main(["forget", f"--workdir={run}", f"--task={TASK}", "--yes"]) == 0
    said = capsys.readouterr().out
    system, after = munet.open(str(run)), contents(run)
    gone = {f"components/{id}.safetensors" for id in planned.removed}
    assert gone
    assert before.keys() - after.keys() == gone
    assert all(after[name] == data for name, data in before.items() if name not in gone)
    assert [*system.models] == ["task1", "task2"]
    for task, model in system.models.items():
        assert model.components == old.model(task).components
        assert system.last_phase(task) == old.last_phase(task)
        assert all((system.load(task)[name][path] == old.load(task)[name][path]).all() for name in model.components
                   for path in system.load(task)[name])  # fmt: skip
    assert f"with {len(gone)} component" in said
    assert f"{TASK} is forgotten" in said
    assert not verify(str(run)).problems


def test_what_has_seen_its_images_is_named_before_and_after(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (planned,) = plan_forgetting(str(run), TASK)
    assert planned.seen, "others use what it trained"
    told = []
    for _ in range(2):
        assert main(["forget", f"--workdir={run}", f"--task={TASK}", "--yes"]) == 0
        told.append(capsys.readouterr().out)
    assert "has forgotten task0 before" in told[1]
    for id, cycles in planned.seen.items():
        line = f"{planned.after.components[id].name} {id[:12]}: {cycles} cycle"
        assert all(line in text for text in told)
    system = munet.open(str(run))
    path = [id for task in system.models for id in system.model(task).components.values() if id in planned.seen]
    listed = [line.split()[1].rstrip(":") for line in told[0].splitlines() if " cycle" in line and "used by" in line]
    assert listed == [id[:12] for id in dict.fromkeys(path)], "as they follow each other in models"
    seen = {id for id, record in system.components.items() if f"{TASK} (forgotten)" in record.cycles}
    assert seen == set(planned.seen)
    assert "scores" not in told[0]
    assert any("accounted parameters" in line and "->" in line for line in told[0].splitlines())


def test_pictures_and_status_say_that_it_is_forgotten(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_all(run)
    system = munet.open(str(run))
    assert f"{TASK} (forgotten)" in page.to_page(system.every_task, history.of_run(system))
    for name in ("graph.svg", "graph.dot", "graph.json", "graph.html", "graph.model_explorer.json"):
        assert main(["graph", f"--workdir={run}", f"--output={tmp_path / name}"]) == 0
        assert f"{TASK} (forgotten)" in (tmp_path / name).read_text() or name == "graph.dot"
    capsys.readouterr()
    assert main(["status", f"--workdir={run}"]) == 0
    assert f"Forgotten: {TASK}." in capsys.readouterr().out
    assert main(["status", f"--workdir={run}", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["forgotten_tasks"] == [TASK]
    assert [*status["tasks"]] == ["task1", "task2"]
    user = next(
        task
        for task in system.models
        if f"{TASK} (forgotten)" in str([system.components[id].cycles for id in system.model(task).components.values()])
    )
    assert main(["export", f"--workdir={run}", f"--task={user}", f"--output={tmp_path}/out"]) == 0
    assert f"tasks that the run has no more: {TASK}" in (tmp_path / "out" / "README.md").read_text()
    capsys.readouterr()
    assert main(["status", f"--workdir={run}", f"--task={TASK}"]) == 2
    assert "was forgotten" in capsys.readouterr().err


def test_tasks_are_counted_without_those_that_are_forgotten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget_all(run)
    new = replace(make_tasks(4)[0], name="new", uri="memory:new")
    system = munet.open(str(run))
    Store(run).journal.append(ExtendEntry(system.position, (new,), ("new",)))
    assert main(["status", f"--workdir={run}"]) == 0
    assert "task 3 of 3 (new) is active" in capsys.readouterr().out
    told: list[events.Event] = []
    system = munet.open(str(run))
    loop.announce(system.controller, system.store, system.run_state, told.append)
    (started,) = told
    assert isinstance(started, events.RunStarted)
    assert started.task_names == ("task1", "task2", "new")
    phase = wording.describe_phase(events.PhaseStarted(new, system.position), started)
    assert phase.startswith("task iteration 1/2, task 3/3: new ")


def answer(monkeypatch: pytest.MonkeyPatch, text: str, is_terminal: bool = True) -> None:
    given = io.StringIO(text)
    monkeypatch.setattr(given, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdin", given)


def test_it_asks_on_a_terminal(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before, command = contents(run), ["forget", f"--workdir={run}", f"--task={TASK}"]
    answer(monkeypatch, "y\n", is_terminal=False)
    assert main(command) == 2
    assert "--yes" in capsys.readouterr().err
    for text in ("", "\n", "n\n", "yess\n"):
        answer(monkeypatch, text)
        assert main(command) == 2
        shown = capsys.readouterr()
        assert "Forget task0? It cannot be undone." in shown.out
        assert "Nothing was changed" in shown.err
    assert contents(run) == before
    answer(monkeypatch, "Y\n")
    assert main(command) == 0
    assert TASK in munet.open(str(run)).forgotten


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["forget", *arguments, "--yes"]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_is_refused_and_nothing_changed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, where = contents(run), f"--workdir={run}"
    assert "Did you mean 'task0'" in refused(capsys, where, "--task=tusk0")
    assert "has task0, task1, task2" in refused(capsys, where)
    assert "There is no run in" in refused(capsys, f"--workdir={tmp_path}/none", "--task=task0")
    with Store.open(run).lock():
        assert "process" in refused(capsys, where, "--task=task1")
    assert contents(run) == before
    write_run(tmp_path / "one", num_classes=(3,))
    assert "the only task" in refused(capsys, f"--workdir={tmp_path}/one", "--task=task0")
    write_run(tmp_path / "open", num_classes=(3, 5), until=Position(1, 0, 1))
    assert "the phase of task0 is open" in refused(capsys, f"--workdir={tmp_path}/open", "--task=task1")
    (planned,) = plan_forgetting(str(run), TASK)
    forget_all(run)
    with pytest.raises(WorkdirError):  # another process has forgotten it meanwhile
        munet.run.forget.forget(planned)


def test_baselines_forget_it_too(run: Path) -> None:
    write(run / "baselines" / "full")
    other = tuple(replace(task, name="other") for task in make_tasks(3))
    write_run(run / "baselines" / "multi_head", tasks=other)
    forget_all(run)
    assert munet.open(f"{run}/baselines/full").forgotten == (TASK,)
    assert munet.open(f"{run}/baselines/multi_head").forgotten == ()
    report = verify(str(run))
    assert not report.problems
    assert report.num_problems == 0


def test_killed_at_every_system_call(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.run.forget_run", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout) >= 10


def test_every_other_accuracy_is_measured_the_same_and_the_name_is_free(
    finished: tuple[Path, object], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real run: forgotten, verified to the last image, and extended by a task of the same name."""
    run = shutil.copytree(finished[0], tmp_path / "run")
    old = munet.open(str(run))
    system = munet.forget(old, "left")
    assert [*old.models] == ["left", "right"]
    assert [*system.models] == ["right"]
    report = verify(str(run), remeasure(cache_dir=str(data / "cache")))
    assert not report.problems
    assert report.num_tested == 1
    with pytest.raises(UserError, match="was forgotten"):
        system.predict("left", [])
    assert runs.evolve(tiny_run.config(data), str(run), lambda _: None)  # is complete, and stays so
    shutil.copy(data / "left.npz", tmp_path / "left.npz")
    for _ in range(2):
        extending.extend(str(run), request(tmp_path, "left", iterations={"left": 1}), lambda _: None)
    grown = munet.open(str(run))
    assert [*grown.models] == ["right", "left"]
    assert grown.forgotten == ("left",)
    assert len(grown.plan.phases) == 5
    assert not verify(str(run), remeasure(cache_dir=str(data / "cache"))).problems
    assert main(["status", f"--workdir={run}", "--task=left"]) == 0
    assert main(["graph", f"--workdir={run}", f"--output={tmp_path}/graph.html"]) == 0
    munet.forget(grown, "left")
    assert munet.open(str(run)).forgotten == ("left", "left")
