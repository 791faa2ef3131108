"""`munet benchmark` on the smallest suite, by processes as a user would: side by side, killed, failing, changed."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.config.flags import Override
from munet.errors import SuiteError, UserError
from munet.run.run_time import Time
from munet.suites import benchmark, record, results, times
from munet.suites.benchmark import Options
from munet.suites.inputs import check_inputs
from munet.suites.rows import TIMES
from munet.system import view
from munet.training.measure import timing
from munet.training.measure.timing import StepTime
from munet.training.program.signature import Signature
from tests.report.stored_run import write_run
from tests.store import journal_files
from tests.suites import tiny_suite


def finish(suite: str, workdir: Path, *options: str, code: int = 0) -> str:
    process = tiny_suite.start(suite, workdir, *options)
    try:
        out, errors = process.communicate(timeout=280)
    finally:
        process.kill()  # nothing, where it has ended
    assert process.returncode == code, out + errors
    return out + errors


def untimed(workdir: Path) -> list[dict[str, Any]]:
    """The rows without the columns that differ between equal runs."""
    return [
        {name: value for name, value in vars(row).items() if name not in TIMES} for row in results.read(str(workdir))
    ]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_suite.write(tmp_path_factory.mktemp("suite")))


@pytest.fixture(scope="module")
def finished(suite: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A suite that nobody disturbed, two seeds, two workers; and what it printed."""
    workdir = tmp_path_factory.mktemp("finished") / "suite"
    return workdir, finish(suite, workdir, "--repeats=2", "--workers=2")


def test_a_row_for_every_run_and_task_with_equal_budgets(finished: tuple[Path, str]) -> None:
    workdir, out = finished
    rows = results.read(str(workdir))
    assert [(row.method, row.seed, row.task) for row in rows] == [
        (method, seed, task) for method in ("full", "munet") for seed in (0, 1) for task in ("left", "digits")
    ]
    assert {row.run_image_steps for row in rows} == {2 * 2 * 2 * 2 * 16}  # tasks, generations, children, steps, batch
    assert {row.image_steps for row in rows} == {128}
    assert all(row.num_children == (2 if row.method == "full" else 4) for row in rows)
    assert all(row.test_correct / row.test_counted == row.test_accuracy for row in rows)
    assert all(row.device_seconds > 0 for row in rows)
    assert "4 runs in" in out
    assert "0 complete, 4 to do" in out
    assert "million parameters a task, 2 runs\nresults: " in out
    page = (workdir / "results.md").read_text()
    assert "| Full fine-tuning | 2 |" in page
    assert "| muNet | 2 |" in page
    assert "Not like with like" not in page
    assert {path.name for path in (workdir / "figures").iterdir()} == {
        "drawn.txt", "figure_3.svg", "figure_3_flops.svg", "figure_5.svg", "figure_8.svg",
    }  # fmt: skip


def test_parameters_are_those_of_the_stored_arrays(finished: tuple[Path, str]) -> None:
    """Equal to the derived numbers, which tests/evolution/test_baselines.py has for every baseline."""
    workdir, _ = finished
    for row in results.read(str(workdir)):
        opened = view.open(str(workdir / "runs" / row.method / f"seed_{row.seed}"))
        sizes = {
            id: sum(array.size for array in opened.store.components.get(id)[1].values())
            for model in opened.models.values()
            for id in model.components.values()
        }
        assert row.total_params == sum(sizes.values())
        assert row.params_per_task == sum(sizes.values()) / 2
        assert row.params == sum(sizes[id] for id in opened.model(row.task).components.values())


def test_a_finished_suite_runs_nothing_again(finished: tuple[Path, str], suite: str) -> None:
    workdir, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (workdir / "runs").rglob("*") if path.is_file()}
    said: list[str] = []
    assert benchmark.benchmark(Options(suite, str(workdir), repeats=2), said.append) == []
    assert "4 complete, 0 to do" in said[0]
    assert {path: path.stat().st_mtime_ns for path in (workdir / "runs").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_killed_and_restarted_it_ends_the_same(finished: tuple[Path, str], suite: str, tmp_path: Path) -> None:
    kill_at_random(0, 1, 1, finished, suite, tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1, 4))
def test_killed_at_many_moments(seed: int, finished: tuple[Path, str], suite: str, tmp_path: Path) -> None:
    kill_at_random(seed, 6, 2, finished, suite, tmp_path / "killed")


def kill_at_random(seed: int, times: int, repeats: int, finished: tuple[Path, str], suite: str, workdir: Path) -> None:
    """SIGKILL reaches the suite alone; its workers end by themselves, wherever they are."""
    moments = random.Random(seed)
    options = (f"--repeats={repeats}", "--workers=2")
    for _ in range(times):
        process = tiny_suite.start(suite, workdir, *options)
        time.sleep(moments.uniform(4, 10))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(suite, workdir, *options)
    assert untimed(workdir) == [row for row in untimed(finished[0]) if row["seed"] < repeats]
    assert not list(workdir.rglob(".tmp-*"))


@pytest.mark.slow  # tests/suites/test_execute.py has it in little
def test_a_run_that_fails_does_not_stop_the_others(finished: tuple[Path, str], suite: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished[0], copy)
    for method, seed in (("full", 0), ("munet", 1)):  # the last phase is open again; the first has lost its layers
        sorted((copy / "runs" / method / f"seed_{seed}" / "journal").iterdir())[-1].unlink()
    shutil.rmtree(copy / "runs" / "full" / "seed_0" / "components")
    out = finish(suite, copy, "--repeats=2", code=1)
    assert "full, seed 0: FAILED after" in out
    assert "munet, seed 1: done in" in out
    assert untimed(copy) == [row for row in untimed(finished[0]) if (row["method"], row["seed"]) != ("full", 0)]
    assert "* Runs that are not complete: full (1)." in (copy / "results.md").read_text()


def test_changed_settings_and_missing_data_are_refused_before_anything_starts(
    finished: tuple[Path, str], suite: str, tmp_path: Path
) -> None:
    workdir, _ = finished
    before = (workdir / "suite.json").read_bytes()
    with pytest.raises(SuiteError) as caught:
        benchmark.benchmark(Options(suite, str(workdir), 2, overrides=(Override("batch_size", "8"),)), print)
    assert str(caught.value).count("with other settings or data (batch_size: 16 -> 8)") == 4
    assert (workdir / "suite.json").read_bytes() == before
    new = tmp_path / "new"
    out = finish(suite, new, "--config.tasks=npz:/nowhere.npz,builtin:digis", "--config.root=gone.npz", code=2)
    for part in ("/nowhere.npz", "Did you mean 'digits'?", "gone.npz"):
        assert out.count(part) >= 1, out
    assert not new.exists()


def test_runs_of_other_settings_that_are_not_run_now_are_said(
    finished: tuple[Path, str], suite: str, tmp_path: Path
) -> None:
    copy, changed = shutil.copytree(finished[0], tmp_path / "copy"), tmp_path / "changed.py"
    before = json.loads((copy / "suite.json").read_text())["methods"]
    changed.write_text(Path(suite).read_text().replace('"full"}, label="Full', '"full", "batch_size": 8}, label="Full'))
    assert not benchmark.benchmark(Options(str(changed), str(copy), 2, methods=("munet",)), lambda _: None)
    page = (copy / "results.md").read_text()
    note = "* Full fine-tuning: has runs of other settings than the suite has now (batch_size: 16 -> 8)"
    assert page.partition("**Not like with like:**")[2].strip().splitlines()[0] == note
    assert json.loads((copy / "suite.json").read_text())["methods"] == before
    with pytest.raises(SuiteError, match=r"batch_size: 16 -> 8"):
        benchmark.benchmark(Options(str(changed), str(copy), 2), lambda _: None)


def test_a_finished_suite_shows_the_figures_that_it_asks_for_now(
    finished: tuple[Path, str], suite: str, tmp_path: Path
) -> None:
    copy, changed = shutil.copytree(finished[0], tmp_path / "copy"), tmp_path / "changed.py"
    changed.write_text(Path(suite).read_text().replace('against="full"', 'against="full", histograms=("full",)'))
    figures = copy / "figures"
    before = {path.name: path.read_bytes() for path in figures.iterdir()}
    (figures / "figure_4.svg").write_bytes(before["figure_3.svg"])  # of a suite that had such curves
    (figures / "drawn.txt").write_bytes(before["drawn.txt"] + b"figure_4.svg\n")
    (figures / "of_mine.svg").touch()
    assert not benchmark.benchmark(Options(str(changed), str(copy), 2), lambda _: None)
    after = {path.name: path.read_bytes() for path in figures.iterdir()}
    assert {name for name in {**before, **after} if before.get(name) != after.get(name)} == {
        "drawn.txt",
        "figure_8.svg",
        "of_mine.svg",
    }
    page = (copy / "results.md").read_text()
    assert ("figure_8.svg" in page, "figure_4.svg" in page, "of_mine.svg" in page) == (
        "figure_8.svg" in after,
        False,
        False,
    )


def test_other_tasks_data_or_roots_are_no_complete_runs(finished: tuple[Path, str], suite: str, tmp_path: Path) -> None:
    """Or the tables would show what was done before as what is asked for now."""
    workdir, data = str(finished[0]), Path(suite).parent / "data"
    shutil.copy(data / "right.npz", tmp_path / "left.npz")  # other images of the same name
    root = dict(np.load(data / "root.npz"))
    root["cls"] = root["cls"] + 1
    np.savez(tmp_path / "root.npz", **root)
    for override, changed in (
        (f"tasks=npz:{data}/left.npz", "tasks: left, digits -> left"),
        (f"tasks=npz:{tmp_path}/left.npz,builtin:digits", "the data of 'left': "),
        (f"root={tmp_path}/root.npz", "the root's file root.npz holds other bytes"),
    ):
        _, runs = benchmark.read(Options(suite, workdir, 2, overrides=(Override(*override.split("=", 1)),)))
        with pytest.raises(SuiteError) as caught:
            check_inputs(runs)
        assert len(caught.value.problems) == 4
        assert all(f"with other settings or data ({changed}" in problem for problem in caught.value.problems)
    moved = shutil.copytree(data, tmp_path / "moved")
    overrides = (
        Override("tasks", f"npz:{moved}/left.npz,builtin:digits"),
        Override("root", f"{moved}/root.npz"),
    )
    check_inputs(benchmark.read(Options(suite, workdir, 2, overrides=overrides))[1])


def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(suite: str, tmp_path: Path) -> None:
    process = tiny_suite.start(suite, tmp_path / "suite", "--repeats=1")
    assert process.stdout is not None
    while "starts" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "Resume with: munet benchmark" in errors
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "suite" / "suite.json").read_text())["repeats"] == 1


def test_dry_run_writes_nothing_and_says_how_long(suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Signature] = []

    def measure(program: Signature, *_: object, **__: object) -> StepTime:
        timed.append(program)
        return StepTime(compilation=10.0, step=1.0)

    monkeypatch.setattr(timing, "measure", measure)
    lines: list[str] = []
    benchmark.dry_run(Options(suite, str(tmp_path / "x"), repeats=2), lines.append)
    pattern = r"(\w+): 2 runs of 256 training images and about (\d+) s each, 0 complete"
    methods = [re.fullmatch(pattern, line) for line in lines[:2]]
    assert [found and found[1] for found in methods] == ["full", "munet"]
    each = [int(found[2]) for found in methods if found]
    assert min(each) > 5  # 16 steps, some of the head alone, and validation
    total = re.match(r"1,024 training images to go: about (\d+) (s|min \d+ s) on the CPU, and about", lines[2])
    assert total
    seconds = int(total[1]) if total[2] == "s" else 60 * int(total[1]) + int(total[2].split()[1])
    assert seconds == pytest.approx(2 * sum(each), abs=2)
    assert lines[3] == "one run of munet:"
    assert len(timed) == 1  # the methods train the same architecture, and so does the run that is described
    assert not (tmp_path / "x").exists()


def test_what_is_complete_takes_no_time(suite: str, tmp_path: Path) -> None:
    _, runs = benchmark.read(Options(suite, str(tmp_path), repeats=2))
    one = times.MethodTime(100, Time(1.0, 20.0, 30.0, 7.0, 1), 100)
    both = {"full": one, "munet": one}
    full = [run for run in runs if run.method.name == "full"]
    total = times.lines(runs, [], {}, both)[-1]  # later seeds find programs on disk
    assert total.startswith("400 training images to go: about 1 min 20 s on the CPU, and about 14 s to compile")
    assert times.lines(runs, full, {}, both)[:2] == [
        "full: 2 runs of 100 training images and about 20 s each, 2 complete",
        "munet: 2 runs of 100 training images and about 20 s each, 0 complete",
    ]
    assert times.lines(runs, full, {}, both)[2].startswith(
        "200 training images to go: about 40 s on the CPU, and about 7.0 s to compile"
    )


@pytest.mark.parametrize("method", ["munet", "earlier"])
def test_a_run_of_another_format_version_is_refused_before_anything_starts(
    method: str, suite: str, tmp_path: Path
) -> None:
    """Also one that only the tables need, of a method that the suite has no longer."""
    earlier = record.KnownMethod("earlier", "demo")
    record.write(str(tmp_path), record.Record(suite, 1, methods=(earlier,)))
    write_run(tmp_path / "runs" / method / "seed_0")
    first = tmp_path / "runs" / method / "seed_0" / "journal" / "00000000.json"
    journal_files.edit(first, lambda content: content["entry"].update(format_version=9))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="has format version 9, this munet reads up to 4"):
        benchmark.benchmark(Options(suite, str(tmp_path), repeats=1), print)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_run_has_behind_it_takes_no_time_either(finished: tuple[Path, str], suite: str, tmp_path: Path) -> None:
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    for entry in sorted((copy / "runs" / "munet" / "seed_0" / "journal").iterdir())[-2:]:
        entry.unlink()  # the second generation of the second task, and the end of its phase
    _, runs = benchmark.read(Options(suite, str(copy), repeats=3))
    done = [run for run in runs if benchmark.is_complete(run)]
    begun = {run.workdir: benchmark.behind(run) for run in runs if run not in done}
    assert list(begun.values()) == [192, 0, 0]  # of 256
    one = times.MethodTime(256, Time(1.0, 20.0, 30.0, 7.0, 1), 256)
    lines = times.lines(runs, done, begun, {"full": one, "munet": one})
    assert [line.rpartition("each, ")[2] for line in lines[:2]] == ["2 complete", "1 complete, 1 begun"]
    assert lines[2].startswith("576 training images to go: about 45 s on the CPU")
