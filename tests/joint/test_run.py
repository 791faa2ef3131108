"""`munet pretrain`: learns, repeats bit for bit, leaves a root that loads, and says what it cannot do."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

import munet
from munet.cli import main
from munet.errors import ConfigError, CorruptionError, DataError, DivergedError, WorkdirError
from munet.joint.loop import Training
from munet.joint.saving import JointSaves
from munet.joint.workdir import PRETRAIN, TRAIN, Workdir
from munet.methods.pretraining import job as pretraining
from munet.store import Store, component_id
from munet.types import ComponentRecord, Leaf
from munet.vit.architecture import get_variant
from munet.vit.augreg import load_augreg
from tests.joint import tiny
from tests.joint.tiny import pretrain

ROOT = "demo16_1blocks_32px.npz"


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A work directory of a training that nothing disturbed, and what it told."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    said: list[str] = []
    pretrain(tiny.config(data), str(workdir), said.append, "the command")
    return workdir, said


def test_it_learns_and_leaves_a_root_with_a_card(whole: tuple[Path, list[str]], data: Path) -> None:
    workdir, said = whole
    assert said[0] == "96 training images of 4 classes from 2 tasks; 30 steps of 16 on 1 cpu device"
    assert "    compiling 1 program" in said
    names = {"pretrain.json", "curve.jsonl", "curve.svg", "lock", ROOT, ROOT.replace("npz", "md"), "result.json"}
    assert {path.name for path in workdir.iterdir()} == names
    found = tiny.results(workdir)
    assert [point["step"] for point in found["curve"]] == [12, 24, 30]
    assert found["curve"][-1]["training_loss"] < found["curve"][0]["training_loss"]
    assert found["curve"][-1]["learning_rate"] < found["curve"][0]["learning_rate"]
    # The two tasks look the same but for their size, so at least one of two images is told right.
    right = sum(quality["correct"] / quality["counted"] for quality in found["result"]["test"].values())
    assert right >= 0.8
    card = (workdir / ROOT.replace("npz", "md")).read_text()
    for text in (
        "    the command\n",
        found["result"]["sha256"],
        "| npz:",
        "mixup 0.2",
        "Seed 0",
        "a head of 4 classes",
    ):
        assert text in card
    assert "nan" not in (workdir / "curve.svg").read_text()


def test_the_root_loads_and_has_its_head(whole: tuple[Path, list[str]]) -> None:
    root = munet.load_root(whole[0] / ROOT)
    assert (root.variant.name, root.num_blocks) == ("demo/16", 1)
    assert np.isfinite(root.features(np.zeros((2, 32, 32, 3), np.float32))).all()
    with np.load(whole[0] / ROOT) as file:
        assert file["head/kernel"].shape == (64, 4)
        assert file["head/kernel"].any()


def test_the_head_can_be_left_out(whole: tuple[Path, list[str]], data: Path, tmp_path: Path) -> None:
    pretrain(tiny.config(data, keep_head=False), str(tmp_path), lambda _: None)
    with np.load(tmp_path / ROOT) as file:
        assert not [key for key in file.files if key.startswith("head")]
    trunks = [load_augreg(folder / ROOT, get_variant("demo/16"), 1) for folder in (tmp_path, whole[0])]
    for name, leaves in trunks[0].items():  # and the same training gives the same trunk, bit for bit
        for path, array in leaves.items():
            assert array.tobytes() == trunks[1][name][path].tobytes()
    assert "no head" in (tmp_path / ROOT.replace("npz", "md")).read_text()


@pytest.mark.parametrize("stop_after", [*(pytest.param(one, marks=pytest.mark.slow) for one in (1, 2, 3)), 4])
def test_what_was_interrupted_goes_on_bit_for_bit(
    stop_after: int, whole: tuple[Path, list[str]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saves follow steps 10, 12, 20, 22, 24; the curve has points at 12, 24 and 30."""
    check, seen = Training._check_losses, 0

    def stop(self: Training, carried: Any, step: int) -> None:
        nonlocal seen
        seen += 1
        if seen > stop_after:
            raise KeyboardInterrupt
        check(self, carried, step)

    monkeypatch.setattr(Training, "_check_losses", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    assert len(list((tmp_path / "in_training").iterdir())) == 1, "only the newest save is kept"
    monkeypatch.undo()
    said: list[str] = []
    pretrain(tiny.config(data, data_dir="elsewhere"), str(tmp_path), said.append)
    assert any("going on after step" in text for text in said)
    assert tiny.results(tmp_path) == tiny.results(whole[0])
    assert not (tmp_path / "in_training").exists()


def test_a_signal_saves_what_is_in_training(
    whole: tuple[Path, list[str]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago the last save was."""
    check = Training._check_losses

    def signalled(self: Training, carried: Any, step: int) -> None:
        if step == 22:
            os.kill(os.getpid(), signal.SIGINT)
        check(self, carried, step)

    monkeypatch.setattr(Training, "_check_losses", signalled)
    settings = tiny.config(data)
    settings.runtime.checkpoint_minutes = 60
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, str(tmp_path), lambda _: None)
    monkeypatch.undo()
    said: list[str] = []
    pretrain(settings, str(tmp_path), said.append)
    assert any(text.endswith("going on after step 22") for text in said)
    assert tiny.results(tmp_path) == tiny.results(whole[0])


def test_a_curve_that_ran_ahead_of_the_save_is_cut(
    whole: tuple[Path, list[str]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: JointSaves, state: Any, step: int, seconds: float) -> None:
        if step == 10:
            save_if_due(self, state, step, seconds)
        if step == 24:
            raise KeyboardInterrupt

    save_if_due = JointSaves.save_if_due
    monkeypatch.setattr(JointSaves, "save_if_due", save)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 2
    monkeypatch.undo()
    said: list[str] = []
    pretrain(tiny.config(data), str(tmp_path), said.append)
    assert any(text.endswith("going on after step 10") for text in said)
    assert tiny.results(tmp_path) == tiny.results(whole[0])


def test_a_complete_training_says_so(whole: tuple[Path, list[str]], data: Path, tmp_path: Path) -> None:
    before = (whole[0] / "result.json").read_bytes()
    said: list[str] = []
    pretrain(tiny.config(data), str(whole[0]), said.append)
    assert "complete; nothing is left to do" in said[0]
    assert said[-1].endswith(ROOT)
    assert any("test accuracy of second" in text for text in said)
    # Also where the data have moved: what counts is what they hold.
    tiny.write_data(tmp_path)
    pretrain(tiny.config(tmp_path), str(whole[0]), said.append)
    assert (whole[0] / "result.json").read_bytes() == before


def test_it_says_so_where_orbax_could_save_nothing(whole: tuple[Path, list[str]], data: Path, tmp_path: Path) -> None:
    store, root = fsspec.core.url_to_fs(f"memory://{tmp_path}/run")
    store.put(str(whole[0]), root, recursive=True)
    said: list[str] = []
    pretrain(tiny.config(data, checkpoint_minutes=-1.0), f"memory://{tmp_path}/run", said.append)
    assert "complete; nothing is left to do" in said[0]


def test_half_a_component_that_a_kill_left_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On file systems without links what claims a name for one writer would keep it for ever."""
    monkeypatch.setattr(os, "link", no_links)
    place = Workdir(tmp_path / "run", TRAIN)
    record, arrays = ComponentRecord("head", {"bias": Leaf((2,))}, "init"), {"bias": np.zeros(2, np.float32)}
    identity = component_id(record, arrays)
    folder = tmp_path / "run" / "components"
    folder.mkdir(parents=True)
    (tmp_path / "run" / "train.json").touch()
    for left in (f".tmp-claim-{identity}.safetensors", f".tmp-1-2-{identity}.safetensors"):
        (folder / left).touch()
    with place.lock():
        assert place.components.put(record, arrays) == identity
    assert [path.name for path in folder.iterdir()] == [f"{identity}.safetensors"]


def no_links(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))


def test_another_recipe_or_other_data_are_refused_by_name(
    whole: tuple[Path, list[str]], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkdirError) as caught:
        pretrain(tiny.config(data, learning_rate=0.02, flip=False), str(whole[0]), lambda _: None)
    assert "learning_rate: 0.01 -> 0.02" in str(caught.value)
    assert "flip: True -> False" in str(caught.value)
    tiny.write_data(tmp_path)
    tiny.write_task(tmp_path / "first.npz", size=10)
    with pytest.raises(WorkdirError, match=r"the data of 'first': as many images, but others"):
        pretrain(tiny.config(tmp_path), str(whole[0]), lambda _: None)


def test_a_field_that_an_older_version_did_not_have_is_no_difference(
    whole: tuple[Path, list[str]], data: Path, tmp_path: Path
) -> None:
    begun = json.loads((whole[0] / "pretrain.json").read_text())
    del begun["experiment"]["antialias"]
    (tmp_path / "pretrain.json").write_text(json.dumps(begun))
    pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    with pytest.raises(WorkdirError, match="antialias: False -> True"):
        pretrain(tiny.config(data, antialias=True), str(tmp_path), lambda _: None)


def test_a_damaged_root_or_a_newer_format_is_refused(whole: tuple[Path, list[str]], data: Path, tmp_path: Path) -> None:
    for name in ("pretrain.json", "result.json"):
        (tmp_path / name).write_bytes((whole[0] / name).read_bytes())
    with pytest.raises(CorruptionError, match=f"{ROOT} is missing"):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    (tmp_path / ROOT).write_bytes((whole[0] / ROOT).read_bytes()[:-1])
    with pytest.raises(CorruptionError, match=f"{ROOT} is not what was written"):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    (tmp_path / "pretrain.json").write_text('{"format_version": 2}')
    with pytest.raises(WorkdirError, match="format version 2"):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)


def test_directories_of_runs_and_of_pre_training_are_kept_apart(whole: tuple[Path, list[str]], data: Path) -> None:
    with pytest.raises(WorkdirError, match="and no run"):
        Store.create_or_open(whole[0])
    with pytest.raises(WorkdirError, match="but a pre-training"):
        Store.open(whole[0])
    folder = data / "run"
    (folder / "journal").mkdir(parents=True)
    with pytest.raises(WorkdirError, match="and no pre-training"):
        pretrain(tiny.config(data), str(folder), lambda _: None)


def test_a_second_process_is_kept_out(data: Path, tmp_path: Path) -> None:
    from munet.joint.workdir import Workdir

    with Workdir(tmp_path, PRETRAIN).lock(), pytest.raises(WorkdirError, match="in use by process"):
        pretrain(tiny.config(data), str(tmp_path), lambda _: None)
    assert list(tmp_path.iterdir()) == []  # nothing was stored, so nothing is left; the directory was there before


def test_a_training_that_diverges_says_what_to_change(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("munet.joint.measuring.predict", None)  # it does not come to that
    config = tiny.config(data, learning_rate=100.0, warmup_ratio=0.0, mixup_alpha=0.0, clip_norm=1e30)

    def poisoned(*arguments: Any) -> Any:
        params = start(*arguments)
        params["head"]["bias"] += np.float32("nan")
        return params

    from munet.methods.pretraining import recipe

    start = recipe.initial_params
    monkeypatch.setattr(recipe, "initial_params", poisoned)
    with pytest.raises(
        DivergedError, match=r"at step 10 of 30 the loss is nan\. Lower experiment\.learning_rate \(now 100\)"
    ):
        pretrain(config, str(tmp_path / "run"), lambda _: None)
    flags = [f"--config.tasks=npz:{data}/first.npz", "--config.num_steps=5", "--config.cache_dir=off"]
    assert main(["pretrain", f"--workdir={tmp_path}/cli", *flags]) == 1
    error = capsys.readouterr().err
    assert "munet: Training diverged" in error
    assert "Traceback" not in error


def test_settings_that_do_not_fit_the_data_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pad_pixels = 12: the images have 12 x 12 pixels, of which at most 11"):
        pretrain(tiny.config(data, pad_pixels=12), str(tmp_path / "run"), lambda _: None)
    with pytest.raises(DataError, match="2 of 2 tasks cannot be used"):
        pretrain(tiny.config(tmp_path / "nowhere"), str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_unreadable_files_are_accepted_as_the_message_says(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(10):
            shade = 20 * number + 5 * (name == "a")
            Image.new("L", (8, 8), shade).save(tmp_path / "x" / name / f"{number}.png")
    (tmp_path / "x" / "a" / "bad.png").write_bytes(b"hello")
    config = tiny.config(tmp_path, tasks=(f"folder:{tmp_path}/x",))
    with pytest.raises(DataError, match=r"--config\.max_bad_images=0\.05"):
        pretraining.prepare(config)
    told: list[str] = []
    config.runtime.max_bad_images = 0.05
    assert pretraining.prepare(config, told.append).num_images == 16
    assert "1 of 21 files cannot be read" in told[0]


def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    pretrain(tiny.config(data, cache_dir="off"), str(tmp_path / "run"), said.append, is_dry_run=True)
    text = "\n".join(said)
    assert "96 training images of 12x12x1, 4 classes; 12 validation images" in text
    assert "30 steps of 16 (5.0 epochs) of demo/16 with 1 block at 32 pixels" in text
    assert "ms a step" in text
    assert not (tmp_path / "run").exists()


def test_saves_can_be_turned_off(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("munet.training.saves.ocp.save_async", None)
    said: list[str] = []
    pretrain(tiny.config(data, checkpoint_minutes=-1.0), str(tmp_path / "run"), said.append)
    assert not [text for text in said if "cannot be saved" in text]


def test_a_save_that_cannot_be_used_costs_time_only(whole: tuple[Path, list[str]], data: Path, tmp_path: Path) -> None:
    (tmp_path / "pretrain.json").write_bytes((whole[0] / "pretrain.json").read_bytes())
    save = tmp_path / "in_training" / "step-0000000020"
    save.mkdir(parents=True)
    (save / "orbax.checkpoint").write_text("{}")
    (save / "_CHECKPOINT_METADATA").write_text("{}")
    said: list[str] = []
    pretrain(tiny.config(data), str(tmp_path), said.append)
    assert tiny.results(tmp_path) == tiny.results(whole[0])


def test_the_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        f"--workdir={tmp_path}/run", f"--config.tasks=npz:{data}/first.npz", "--config.num_steps=3",
        "--config.batch_size=8", "--config.num_blocks=1", f"--config.cache_dir={data}/cache",
    ]  # fmt: skip
    assert main(["pretrain", "--config=pretrain_demo", *flags]) == 0
    assert "test accuracy of first" in capsys.readouterr().out
    card = (tmp_path / "run" / ROOT.replace("npz", "md")).read_text()
    assert f"    munet pretrain --config=pretrain_demo --workdir={tmp_path}/run --config.tasks=npz:" in card
    assert main(["pretrain", "--config=pretrain_demo", *flags]) == 0
    assert "complete" in capsys.readouterr().out
    assert main(["pretrain", "--config=demo"]) == 2
    assert "is for munet evolve" in capsys.readouterr().err


def test_a_directory_that_is_moved_ends_training_at_once(data: Path, tmp_path: Path) -> None:
    workdir = tmp_path / "run"

    def listen(text: str) -> None:
        if text.startswith("step 12 "):
            workdir.rename(tmp_path / "elsewhere")

    with pytest.raises(WorkdirError, match="was deleted, moved or replaced while this process used it"):
        pretrain(tiny.config(data), str(workdir), listen, "the command")
    assert not workdir.exists()
    pretrain(tiny.config(data), str(tmp_path / "elsewhere"), lambda _: None, "the command")
    assert (tmp_path / "elsewhere" / "result.json").exists()
