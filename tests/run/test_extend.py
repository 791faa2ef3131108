"""`munet extend`: what a run that is extended becomes, however it was interrupted, and what is refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import munet
from munet.cli.main import main
from munet.compression import choice
from munet.compression.finished import compress_run
from munet.config import Baseline, Config
from munet.errors import UserError, WorkdirError
from munet.progress import events
from munet.report import history
from munet.report.graph import page
from munet.report.verify.verify import remeasure, verify
from munet.run import extend as extending
from munet.run import runs
from munet.run.dry_run import describe_extension
from munet.run.extension import Request, parse_iterations, plan_extension
from munet.run.grown import Grown
from munet.run.run_time import TimedProgram
from munet.store import Store, journal
from munet.system import view
from munet.system.baselines import baseline_workdir
from munet.training.placement.devices import DeviceLayout
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature
from munet.types import ExtendEntry, PhaseEntry, StartEntry
from tests.interrupted import Stop, until
from tests.run.extended_run import config, extend, request, results
from tests.store.killing import contents

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The results of the run of both tasks."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    runs.evolve(config(data), str(workdir), lambda _: None)
    return results(workdir)


@pytest.fixture(scope="module")
def begun(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of the first task; whoever changes it takes a copy."""
    workdir = tmp_path_factory.mktemp("begun") / "run"
    runs.evolve(config(data, "left"), str(workdir), lambda _: None)
    return workdir


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    """A copy of the run of the first task."""
    return shutil.copytree(begun, tmp_path / "run")


def test_an_extended_run_is_the_run_of_all_tasks_bit_for_bit(
    whole: dict[str, object], run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[events.Event] = []
    extend(run, data, told.append)
    assert results(run) == whole
    report = verify(str(run), remeasure(cache_dir=str(data / "cache")))
    assert not report.problems
    assert report.num_tested == 2
    (note,) = [event.text for event in told if isinstance(event, events.Note) and event.text.startswith("Extending")]
    assert note.endswith("which has 1 phase, by: right.")
    started = next(event for event in told if isinstance(event, events.RunStarted))
    assert started.task_names == ("left", "right")
    assert started.generations_done == 2
    system = munet.open(str(run))
    assert [task.name for task in system.tasks] == ["left", "right"]
    assert system.num_generations == system.run_state.generations == 4
    for task in system.models:
        assert system.last_phase(task).retained == system.model(task).id
    assert "extension" in page.to_page(system.tasks, history.of_run(system))
    assert main(["status", f"--workdir={run}"]) == 0
    assert "Complete: 4 of 4 generations, 2 tasks." in capsys.readouterr().out


def test_neither_the_root_nor_data_of_old_tasks_is_needed(
    whole: dict[str, object], run: Path, data: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "data"
    elsewhere.mkdir()
    shutil.copy(data / "right.npz", elsewhere)
    gone = tmp_path / "gone"
    data.rename(gone)
    try:
        extending.extend(str(run), request(elsewhere, "right"), lambda _: None)
    finally:
        gone.rename(data)
    assert results(run)["models"] == whole["models"]
    assert results(run)["components"] == whole["components"]


def test_interrupted_anywhere_it_goes_on_with_the_same_call(whole: dict[str, object], run: Path, data: Path) -> None:
    for kind in (events.RunStarted, events.CycleEnded, events.GenerationEnded, events.PhaseEnded):
        with pytest.raises(Stop):
            extend(run, data, until(kind), checkpoint_minutes=0)
        assert kind is not events.CycleEnded or any((run / "in_flight").iterdir()), "there is nothing to go back to"
    told: list[events.Event] = []
    extend(run, data, told.append)
    assert results(run) == whole
    assert len([entry for entry in Store.open(run).journal.entries() if isinstance(entry, ExtendEntry)]) == 1
    assert any("--again" in event.text for event in told if isinstance(event, events.Note))
    before = contents(run)
    extend(run, data)
    assert contents(run) == before


def test_evolve_goes_on_with_an_extension(whole: dict[str, object], run: Path, data: Path) -> None:
    with pytest.raises(Stop):
        extend(run, data, until(events.CycleEnded), checkpoint_minutes=0)
    other = config(data, "left")
    other.experiment.num_generations = 3
    with pytest.raises(WorkdirError, match="num_generations: 2 -> 3"):
        runs.evolve(other, str(run), lambda _: None)
    with pytest.raises(WorkdirError, match="tasks: left -> left, right"):
        runs.evolve(config(data), str(run), lambda _: None)
    assert runs.evolve(config(data, "left"), str(run), lambda _: None)
    assert results(run) == whole
    told: list[events.Event] = []
    assert runs.evolve(config(data, "left"), str(run), told.append)
    assert any("nothing is left to do" in event.text for event in told if isinstance(event, events.Note))


def start(*arguments: str) -> None:
    command = [sys.executable, "-m", "tests.run.extended_run", *arguments]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=200)
    killed = len(arguments) > 2 and bool(arguments[2])
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr.decode()


@pytest.mark.parametrize("in_place", [pytest.param(True, marks=pytest.mark.slow), False])
def test_killed_anywhere_it_ends_the_same(
    in_place: bool, whole: dict[str, object], run: Path, data: Path, tmp_path: Path
) -> None:
    """In a copy: the directory is there wholly or not at all, and the run that was copied stays as it is."""
    moments = [
        "journal:1:before",  # nothing is written
        "journal:1:after",  # the entry is; nothing is trained
        "components:2:after",  # inside of a generation
        "journal:1:before",  # between its components and its entry
    ]
    to = [] if in_place else [str(tmp_path / "new")]
    before = contents(run)
    for moment in moments:
        start(str(run), str(data), moment, *to)
    start(str(run), str(data), "", *to)
    assert results(Path(to[0]) if to else run) == whole
    assert in_place or contents(run) == before
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".tmp")]


def test_a_copy_shares_the_files_that_never_change(run: Path, data: Path, tmp_path: Path) -> None:
    before = contents(run)
    extend(run, data, to=tmp_path / "new")
    assert contents(run) == before
    for folder in ("journal", "components"):
        for file in (run / folder).iterdir():
            copied = tmp_path / "new" / folder / file.name
            assert not copied.exists() or copied.samefile(file)
    assert (tmp_path / "new" / "journal" / "00000000.json").samefile(run / "journal" / "00000000.json")
    made, told = contents(tmp_path / "new"), list[events.Event]()
    asked = request(data, "right", again=True)  # of the run, not of its copy
    extending.extend(str(run), asked, told.append, to=str(tmp_path / "new"))
    assert contents(tmp_path / "new") == made
    assert any("new --in_place --again" in event.text for event in told if isinstance(event, events.Note))
    with pytest.raises(WorkdirError, match="extended otherwise"):
        extending.extend(str(run), request(data, "right", num_generations=1), lambda _: None, to=str(tmp_path / "new"))
    for place in (run / "inside", run):
        with pytest.raises(UserError, match="lies inside"):
            extend(run, data, to=place)


def test_a_further_phase_is_asked_for_by_name(run: Path, data: Path) -> None:
    def phases() -> list[tuple[str, int]]:
        entries = Store.open(run).journal.entries()
        return [(entry.task, entry.position.task_iteration) for entry in entries if isinstance(entry, PhaseEntry)]

    once = request(data, iterations={"left": 1}, num_generations=1)
    extending.extend(str(run), once, lambda _: None)
    assert phases() == [("left", 0), ("left", 1)]
    extending.extend(str(run), once, lambda _: None)  # the same call: it is complete
    assert phases() == [("left", 0), ("left", 1)]
    with pytest.raises(WorkdirError, match=r"already \(left\): for as many again add --again"):
        extending.extend(str(run), once, lambda _: None, to=str(run.parent / "new"))
    again = request(data, "right", iterations={"left": 1, "right": 2}, num_generations=1, again=True)
    extending.extend(str(run), again, lambda _: None)
    assert phases()[2:] == [("left", 2), ("right", 0), ("right", 1)]
    assert munet.open(str(run)).num_generations == 2 + 1 + 3
    assert not verify(str(run), remeasure(cache_dir=str(data / "cache"))).problems


@pytest.mark.parametrize("again", [False, True])
def test_the_same_call_is_known_however_it_names_its_phases(again: bool, run: Path, data: Path) -> None:
    """Once interrupted, it is gone on with: also if it asks for more, and for more phases of some new tasks."""

    def configure(given: Config) -> Config:
        given = request(data, "right").configure(given)
        given.experiment.tasks = (*given.experiment.tasks, f"other=npz:{data}/right.npz")
        return given

    asked = Request(configure, {"other": 1, "left": 2}, again)
    with pytest.raises(Stop):
        extending.extend(str(run), asked, until(events.RunStarted))
    found = plan_extension(view.open(str(run)), asked)
    assert found.is_there
    assert found.phases == ("left", "right", "other", "left")
    with pytest.raises(WorkdirError, match=r"is extended by these phases already .*: go on with it .*--in_place"):
        extending.extend(str(run), asked, lambda _: None, to=str(run.parent / "new"))
    assert not (run.parent / "new").exists()


def test_a_baseline_that_cannot_be_extended_so_is_refused_before_anything_is_trained(run: Path, data: Path) -> None:
    plain = config(data, "left")
    baseline = replace(plain, experiment=replace(plain.experiment, baseline=Baseline("full")))
    with pytest.raises(Stop):
        runs.evolve(baseline, baseline_workdir(str(run), "full"), until(events.RunStarted))

    def configure(given: Config) -> Config:
        given = request(data, "right", cycles_per_child=1).configure(given)
        return replace(given, runtime=replace(given.runtime, compare=("full",)))

    before = contents(run)
    with pytest.raises(UserError, match=r"(?s)baselines/full.*phase of left is open"):
        extending.extend(str(run), Request(configure), lambda _: None)
    assert contents(run) == before


def test_what_new_settings_do_not_do_is_said_once(run: Path, data: Path) -> None:
    told: list[events.Event] = []

    def listen(event: events.Event) -> None:
        told.append(event)
        if isinstance(event, events.RunStarted):
            raise Stop

    asked = request(data, "right", stages=("explore:1x1",))
    for _ in range(2):
        with pytest.raises(Stop):
            extending.extend(str(run), asked, listen)
    said = [event.text for event in told if isinstance(event, events.Note) and "has no effect" in event.text]
    assert [text.split()[0] for text in said] == ["experiment.mutation_probability"]


def test_a_dry_run_writes_nothing(run: Path, data: Path) -> None:
    before = contents(run)
    told: list[events.Event] = []
    assert extending.extend(str(run), request(data, "right"), told.append, dry_run=True) is None
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "1 phase (right) of 2 generations of 2 children, 2 cycles a child, behind the 1 of" in text
    assert "256 training images in all" in text
    assert "likely" in text
    assert contents(run) == before


def test_a_dry_run_times_the_program_that_will_train(run: Path, data: Path) -> None:
    """The whole of its update rule is the run's."""
    system = view.open(str(run))
    grown = Grown.prepare(system, plan_extension(system, request(data, "right")))
    grown.plan.settings[-1].experiment.fidelity.momentum_product = "bfloat16"
    rules: list[UpdateRule] = []

    def measure(program: Signature, layout: DeviceLayout, rule: UpdateRule) -> TimedProgram:
        rules.append(rule)
        raise Stop

    with pytest.raises(Stop):
        list(describe_extension(grown, measure))
    assert [rule.momentum_product for rule in rules] == ["bfloat16"]


def test_an_older_munet_refuses_it_by_the_format(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop):
        extend(run, data, until(events.RunStarted))
    monkeypatch.setattr(journal, "NEWEST_VERSION", 3)
    with pytest.raises(WorkdirError, match="has format version 4, this munet reads up to 3"):
        munet.open(str(run))


def test_baselines_train_the_new_tasks_too(run: Path, data: Path) -> None:
    both, first = request(data, "right"), config(data, "left")
    first.runtime.compare = ("multi_head",)
    runs.evolve(first, str(run), lambda _: None)

    def configure(given: Config) -> Config:
        found = both.configure(given)
        found.runtime.compare = ("multi_head", "full")
        return found

    compared = Request(configure)
    for _ in range(2):
        extending.extend(str(run), compared, lambda _: None)
        baselines = {kind: munet.open(f"{run}/baselines/{kind}") for kind in ("multi_head", "full")}
        assert [*baselines["multi_head"].models] == ["left", "right"]
        assert [*baselines["full"].models] == ["right"]
        assert all(system.is_complete for system in baselines.values())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["extend", *arguments]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_is_refused_and_nothing_written(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    where, there = f"--workdir={run}", "--in_place"
    right = f"--config.tasks=npz:{data}/right.npz"
    assert "give one of them" in refused(capsys, where, right)
    assert "give one of them" in refused(capsys, where, right, there, "--to=x")
    assert "There is no run in" in refused(capsys, f"--workdir={tmp_path}/none", right, there)
    assert "Nothing to extend" in refused(capsys, where, there)
    text = refused(capsys, where, there, f"--config.tasks=npz:{data}/left.npz", "--iterations=lift:1,right:2")
    assert "has a task called 'left' already" in text
    assert "--iterations=left:1 gives it another phase" in text
    assert "there is no task 'lift'" in text
    assert "Did you mean" in text
    assert "and there are none" in refused(capsys, where, there, "--iterations=left:1", "--config.compare=full")
    assert "TASK:NUMBER" in refused(capsys, where, there, "--iterations=left")
    text = refused(capsys, where, there, right, "--config.root=demo", "--config.variant=Ti/16", "--config.seed=3")
    for name in ("root", "variant", "seed"):
        assert f"experiment.{name}: " in text
    assert "Only what further phases try may differ: num_task_iterations" in text
    text = refused(capsys, where, there, right, "--config.search_space.image_size=32,64")
    assert "at most 32 pixels" in text
    text = refused(capsys, where, there, right, "--config.search_space.flip=False")
    assert "search_space.flip" in text
    text = refused(capsys, where, there, right, "--config.private_tasks=rite")
    assert "private_tasks: there is no task 'rite'. Did you mean 'right'" in text
    assert "missing.npz" in refused(capsys, where, there, f"--config.tasks=npz:{data}/missing.npz")
    assert "no field" in refused(capsys, where, there, right, "--config.num_generation=2").replace("setting", "field")
    twice = f"{right},npz:{data}/../{data.name}/right.npz"
    assert "2 tasks are called 'right'" in refused(capsys, where, there, twice)
    with Store.open(run).lock():
        assert "process" in refused(capsys, where, there, right, f"--config.cache_dir={data}/cache")
    after = contents(run)
    assert {name: after[name] for name in before} == before


def test_phases_that_wait_keep_their_settings(data: Path, tmp_path: Path) -> None:
    """A run that is stopped may be extended, by its own settings."""
    run = tmp_path / "run"
    with pytest.raises(Stop):
        runs.evolve(config(data, "left"), str(run), until(events.GenerationEnded))
    with pytest.raises(UserError, match="phase of left is open"):
        extending.extend(str(run), request(data, "right", num_generations=1), lambda _: None)
    extend(run, data)
    assert munet.open(str(run)).is_complete


def test_the_first_entry_stays_what_it_was(run: Path, data: Path, begun: Path) -> None:
    with pytest.raises(Stop):
        extend(run, data, until(events.RunStarted))
    first = next(Store.open(run).journal.entries())
    assert isinstance(first, StartEntry)
    assert [task.name for task in first.tasks] == ["left"]
    for file in (begun / "journal").iterdir():
        assert (run / "journal" / file.name).read_bytes() == file.read_bytes()


def test_iterations() -> None:
    assert parse_iterations("") == {}
    assert parse_iterations("a:1, glyphs/b:20 ,") == {"a": 1, "glyphs/b": 20}
    for wrong in ("a", "a:", ":1", "a:0", "a:-1", "a:x", "a:1,a:2"):
        with pytest.raises(UserError, match="--iterations"):
            parse_iterations(wrong)


def test_a_compressed_system_is_extended_too(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its low-rank layers are parents as all others are; what is compressed and forgotten then is sound, too."""
    settings = config(data)
    settings.experiment.stages = ("explore:2x1", "train:1x1")  # which clones every layer
    settings.experiment.search_space.image_size = (32,)
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    monkeypatch.setenv("MUNET_CACHE_DIR", str(data / "cache"))
    monkeypatch.setattr(choice, "choose", lambda layers, holds: {one.id: 2 for one in layers if 2 in one.ranks})
    compress_run(str(tmp_path / "run"), str(tmp_path / "small"), tolerance=100)
    small = tmp_path / "small"
    before = munet.open(str(small)).last_phase("left")
    third = request(data, tasks=(f"third=npz:{data}/left.npz",))
    extending.extend(str(small), third, lambda _: None)
    system = munet.open(str(small))
    assert "low_rank" in {record.origin for record in system.components.values()}
    assert system.last_phase("left") == before  # of the compressed model
    extending.extend(str(small), request(data, iterations={"left": 1}), lambda _: None)
    assert munet.open(str(small)).last_phase("left") != before
    assert not verify(str(small), remeasure(cache_dir=str(data / "cache"))).problems
    munet.forget(str(small), "left")
    assert not verify(str(small), remeasure(cache_dir=str(data / "cache"))).problems
