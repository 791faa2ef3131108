"""`munet train`: a system of several tasks, trained by gradient; it opens, verifies and predicts as evolved ones do."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet import kinds, roots
from munet.cli import main
from munet.config import Experiment
from munet.data.open_settings import OpenSettings
from munet.data.splits import Split, SplitName
from munet.data.tasks import Task, load_tasks
from munet.errors import CheckpointError, UserError, WorkdirError
from munet.joint import dry_run
from munet.joint.run import train
from munet.methods.fine_tuning import job as fine_tuning
from munet.report.graph import graph
from munet.report.page import examples, html, report, source
from munet.report.page.parts import Pictures, Text
from munet.report.status import status_json
from munet.run.start import RootComponents
from munet.store import Store
from munet.suites.record import KnownMethod, Record
from munet.suites.report import Report
from munet.suites.suite import Method, Suite
from munet.system import view
from tests.joint import tiny
from tests.joint.conformance import joint_config, notes

SPLIT = Task.split


@pytest.fixture(scope="module")
def workdir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a finished training of two replicas with one trunk, started by the command."""
    workdir = tmp_path_factory.mktemp("shared") / "run"
    flags = [
        f"--config.tasks=npz:{data}/first.npz,npz:{data}/second.npz", "--config.num_rounds=6", "--config.num_blocks=1",
        "--config.validate_every=4", "--config.batch_size=8", "--config.image_size=16", "--config.replicas=2",
        f"--config.cache_dir={data}/cache", "--config.checkpoint_minutes=0", "--config.data_seed=0",
    ]  # fmt: skip
    assert main(["train", "--config=joint:shared", f"--workdir={workdir}", *flags]) == 0
    return workdir


def test_its_trunk_is_a_root(workdir: Path, data: Path, tmp_path: Path) -> None:
    opened, found = munet.open(str(workdir)), roots.find(f"munet:{workdir}?trunk")
    assert (found.name, found.num_blocks) == ("run?trunk", 1)
    arrays = found.load(1)
    for name, leaves in arrays.items():
        shared = opened.model("first").components[name] == opened.model("second").components[name]
        assert shared == (name != "encoder_norm")
        expected = opened.load("first")[name] if shared else opened.store.components.load(opened.root.components[name])
        assert all(np.array_equal(leaf, expected[path]) for path, leaf in leaves.items())
    assert found.load(1, 32)["posembed_input"]["pos_embedding"].shape[1] == 5
    experiment = Experiment(tasks=(f"npz:{data}/first.npz",), root=f"munet:{workdir}?trunk", num_blocks=1)
    assert RootComponents(experiment).checkpoint["name"] == "run?trunk"
    with pytest.raises(CheckpointError, match=r"one of .*run\?trunk"):
        roots.find(f"munet:{workdir}")
    (tmp_path / "open").mkdir()
    shutil.copy(workdir / "train.json", tmp_path / "open")
    with pytest.raises(CheckpointError, match="is not complete, its trunk still moves"):
        roots.find(f"munet:{tmp_path}/open?trunk")


def test_the_work_directory_holds_components_and_a_result(workdir: Path) -> None:
    names = {"train.json", "curve.jsonl", "curve.svg", "lock", "log.jsonl", "components", "result.json"}
    assert {path.name for path in workdir.iterdir()} == names
    result = json.loads((workdir / "result.json").read_text())
    assert [replica["seed"] for replica in result["replicas"]] == [0, 1]
    assert result["image_steps"] == 6 * 16
    stored = {path.stem for path in (workdir / "components").iterdir()}
    assert stored == set(result["published"])
    for replica in result["replicas"]:
        first, second = (replica["tasks"][name]["components"] for name in ("first", "second"))
        shared = {name for name in first if first[name] == second[name]}
        assert shared == {"embedding", "cls", "posembed_input", "encoderblock_0"}
    curve = [json.loads(line) for line in (workdir / "curve.jsonl").read_text().splitlines()]
    assert [(point["step"], point["replica"]) for point in curve] == [(4, 0), (4, 1), (6, 0), (6, 1)]
    events = [json.loads(line)["event"] for line in (workdir / "log.jsonl").read_text().splitlines()]
    assert [events.count(name) for name in ("TrainingStarted", "Advanced", "Measured", "TrainingEnded")] == [1, 0, 2, 1]


def test_it_opens_predicts_draws_and_verifies(workdir: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    system = munet.open(str(workdir))
    (task,) = load_tasks([f"npz:{data}/first.npz"], OpenSettings(cache_dir="off"))
    validation = task.split("validation")
    found = system.predict("first", validation.decoded)
    model = system.model("first")
    assert model.quality is not None
    assert int((found.indices == validation.labels).sum()) == model.quality.correct
    drawn = graph.of_run(system)
    assert drawn.num_shared == 4
    assert system.total_params == drawn.num_params == sum(map(round, map(system.accounted_params, ("first", "second"))))
    assert main(["verify", f"--workdir={workdir}", "--tests"]) == 0
    assert "2 test accuracies measured again" in capsys.readouterr().out
    status = status_json(view.open(str(workdir)))
    assert status["kind"] == "train"
    assert status["complete"]
    assert status["joint"] == {"title": "Joint fine-tuning", "rounds": 6, "num_rounds": 6, "replicas": 2}
    assert main(["status", f"--workdir={workdir}", "--task=first"]) == 0
    assert main(["graph", f"--workdir={workdir}", f"--output={data}/graph.svg"]) == 0


def test_it_cannot_be_compressed(workdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", f"--workdir={workdir}", f"--to={tmp_path}/small", "--tolerance=100"]) == 2
    assert "holds a joint training" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_changed_component_is_found(workdir: Path, data: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    system = munet.open(str(copy))
    file = copy / "components" / f"{system.model('first').components['head']}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    report = munet.verify(str(copy), tests=False)
    assert not report.is_sound


def test_the_same_command_says_that_it_is_complete(workdir: Path, data: Path) -> None:
    config = joint_config(data, "shared", replicas=2, data_seed=0)
    config.experiment.defaults.learning_rate, config.experiment.defaults.crop_area_min = 0.05, 0.5
    config.experiment.defaults.flip = False
    assert "complete; nothing is left to do" in notes(config, workdir)[0]
    config.experiment.clip_norm = 2.0
    with pytest.raises(WorkdirError, match=r"clip_norm: 1\.0 -> 2\.0"):
        notes(config, workdir)


def test_adapters_leave_the_root_as_it_is_and_tests_are_looked_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []

    def split(task: Task, name: SplitName) -> Split:
        if name == "test":
            seen.append((task.info.name, len((tmp_path / "curve.jsonl").read_text().splitlines()) == 2))
        return SPLIT(task, name)

    monkeypatch.setattr(Task, "split", split)
    notes(joint_config(data, "shared_adapters"), tmp_path)
    assert seen == [("first", True), ("second", True)]  # once each, after the last measurement
    system = munet.open(str(tmp_path))
    for task in ("first", "second"):
        origins = {name: system.components[id].origin for name, id in system.model(task).components.items()}
        assert origins.pop("residual_adapter_0") == origins.pop("head") == "init"
        assert origins.pop("encoder_norm") == "clone"
        assert set(origins.values()) == {"root", "root-resized"}
    assert (
        system.model("first").components["residual_adapter_0"]
        == system.model("second").components["residual_adapter_0"]
    )
    assert munet.verify(str(tmp_path)).is_sound


def test_separate_models_are_those_of_each_task_alone(data: Path, tmp_path: Path) -> None:
    """Nothing shared: another task beside it changes no bit of a task's model but for how XLA adds up."""
    notes(joint_config(data, "separate", keep="last"), tmp_path / "both")
    with pytest.raises(CheckpointError, match="share no layer that was trained"):
        roots.find(f"munet:{tmp_path}/both?trunk")
    notes(joint_config(data, "separate", keep="last", tasks=(f"npz:{data}/second.npz",)), tmp_path / "alone")
    both, alone = (munet.open(str(tmp_path / name)) for name in ("both", "alone"))
    assert both.shared_with("second") == {}
    models = both.load("second"), alone.load("second")
    for name, arrays in models[0].items():
        for path, array in arrays.items():
            np.testing.assert_allclose(array, models[1][name][path], rtol=0, atol=1e-5, err_msg=f"{name}/{path}")


@pytest.mark.parametrize(
    "optimizer", ["adamw", *(pytest.param(one, marks=pytest.mark.slow) for one in ("adam", "rmsprop"))]
)
def test_other_optimisers_train(optimizer: str, data: Path) -> None:
    from tests.joint.conformance import Candidate

    config = joint_config(data, "shared", optimizer=optimizer)
    candidate = Candidate(fine_tuning.prepare(config), (0,))
    losses = candidate.programs.taken(candidate.trained.loss_sums)[0]
    assert all(np.isfinite(loss) for loss in losses.values())


def test_every_replica_is_the_rows_of_a_seed(workdir: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(workdir, suite / "runs" / "joint" / "seeds_0-1")
    kept = Record("mine", 2, methods=(KnownMethod("joint", "joint", together=2),))
    rows = Report(str(suite), Suite((Method("joint", "joint"),)), kept).rows()
    assert [(row.seed, row.task) for row in rows] == [(0, "first"), (0, "second"), (1, "first"), (1, "second")]
    result = json.loads((workdir / "result.json").read_text())
    tests = [one["test"]["correct"] for replica in result["replicas"] for one in replica["tasks"].values()]
    assert [row.test_correct for row in rows] == tests
    assert {(row.image_steps, row.run_image_steps) for row in rows} == {(48, 96)}
    assert sum(row.device_seconds for row in rows) == pytest.approx(result["seconds"])
    assert len({row.experiment_sha256 for row in rows}) == 1


def test_what_is_saved_counts_as_behind(data: Path, tmp_path: Path) -> None:
    kind = kinds.named("train")
    notes(joint_config(data, "shared", max_hours=1e-9), tmp_path / "run")
    assert (kind.behind(str(tmp_path / "run")), kind.is_complete(str(tmp_path / "run"))) == (3, False)


def test_directories_of_other_kinds_are_refused(workdir: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match="and no run"):
        Store.create_or_open(str(workdir))
    with pytest.raises(WorkdirError, match="but a joint training"):
        Store.open(str(workdir))
    with pytest.raises(WorkdirError, match="and no pre-training"):
        tiny.pretrain(tiny.config(data), str(workdir), lambda _: None)
    (tmp_path / "pretrain.json").write_text("{}")
    with pytest.raises(WorkdirError, match="and no joint training"):
        notes(joint_config(data, "shared"), tmp_path)


def test_a_dry_run_says_that_it_measures_before_it_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def compiled(_: object) -> None:
        assert said[-1].startswith("Measuring some rounds, compiled first")
        assert said[-2:-1], "what is known before is told before"
        raise UserError("far enough")

    monkeypatch.setattr(dry_run, "_compiled", compiled)
    with pytest.raises(UserError, match="far enough"):
        train(
            joint_config(data, "shared"),
            str(tmp_path / "run"),
            lambda event: said.append(getattr(event, "text", "")),
            is_dry_run=True,
        )


def test_a_dry_run_tells_the_memory_before_a_round_is_timed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(*_: object) -> None:
        raise UserError("far enough")

    monkeypatch.setattr(dry_run._Block, "times", timed)
    found: list[str] = []
    with pytest.raises(UserError, match="far enough"):
        found.extend(dry_run.describe(fine_tuning.prepare(joint_config(data, "shared"))))
    assert found[-1].startswith("about ")
    assert found[-1].endswith("for a round")


@pytest.mark.parametrize(("long", "timed"), [(math.inf, [1, 3]), (0.0, [1])])
def test_a_dry_run_times_no_further_rounds_where_one_is_long(
    data: Path, monkeypatch: pytest.MonkeyPatch, long: float, timed: list[int]
) -> None:
    found, once = [], dry_run._Block._timed

    def counted(block: dry_run._Block, carried: Any, picked: Any, length: int) -> Any:
        found.append(length)
        return once(block, carried, picked, length)

    monkeypatch.setattr(dry_run._Block, "_timed", counted)
    monkeypatch.setattr(dry_run, "_LONG", long)
    measured = dry_run.measure(fine_tuning.prepare(joint_config(data, "shared")))
    assert found == timed
    assert 0 < measured.round < 60


def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    config = joint_config(data, "separate", replicas=2)
    train(config, str(tmp_path / "run"), lambda event: said.append(getattr(event, "text", "")), is_dry_run=True)
    text = "\n".join(said)
    assert "Separate fine-tuning: 6 rounds of 16 images, 192 in all, measured every 4; 2 replicas" in text
    assert "ms a round" in text
    assert "4 programs" in text
    told = re.search(
        r"about ([\d.]+) MiB on each device: ([\d.]+) MiB of .*, ([\d.]+) MiB of images, ([\d.]+) MiB for", text
    )
    assert told
    whole, *parts = map(float, told.groups())
    assert whole == pytest.approx(sum(parts), abs=1.5)
    assert parts[-1] > 0
    assert not (tmp_path / "run").exists()


def test_a_root_with_adapters_keeps_them(data: Path, tmp_path: Path) -> None:
    notes(joint_config(data, "shared_adapters"), tmp_path / "first")
    config = joint_config(data, "shared", root=f"munet:{tmp_path}/first?task=first")
    notes(config, tmp_path / "second")
    system = munet.open(str(tmp_path / "second"))
    components = system.model("second").components
    assert system.components[components["residual_adapter_0"]].origin == "clone"
    assert components["residual_adapter_0"] == system.model("first").components["residual_adapter_0"]
    assert munet.verify(str(tmp_path / "second")).is_sound
    config.experiment.defaults.adapter_dim = 8
    with pytest.raises(UserError, match=r"of width 32, .*adapter_dim = 8\. Set --config\.defaults\.adapter_dim=32"):
        notes(config, tmp_path / "third")


def test_a_report_shows_it_with_its_mistakes(workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No journal: neither lineages nor mutations; but results, graph, settings, and the most confident mistakes."""
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path / "cache"))
    system = view.open(str(workdir))
    read = source.read(str(workdir), [str(workdir)])
    section = examples.section(read)
    made = report.make(read, section)
    names = [section.name for section in made.sections if section.name != "classes"]  # where any fails
    assert names == ["tasks", "comparison", "size", "mistakes", "graph", "sharing", "knowledge", "data", "settings"]
    for task, part in zip(system.models, section.parts, strict=True):
        test = system.models[task].test_quality
        assert test is not None
        wrong = test.counted - test.correct
        assert isinstance(part, Pictures | Text)
        assert (part.title if isinstance(part, Pictures) else part.text).startswith(f"{task}: {wrong or 'none'} of")
    assert "data:image/svg+xml" in html.to_page(made)
