"""What `munet train` refuses, and that nothing is written then."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet.cli import main
from munet.config.train import JointDefaults
from munet.errors import ConfigError, DataError, UserError, WorkdirError
from munet.joint.run import prepared
from munet.methods.fine_tuning import job as fine_tuning
from munet.report.status import status_json
from munet.store.local import LocalFolder, disk_full_named
from tests.joint import tiny
from tests.joint.conformance import joint_config, notes
from tests.methods.gumbel_matrix import routed
from tests.methods.muir import small

REFUSED: dict[str, tuple[dict[str, Any], type[UserError], str]] = {
    "a task twice": ({"tasks": ("builtin:digits", "builtin:digits")}, ConfigError, "more than once"),
    "both lengths": ({"num_epochs": 1.0}, ConfigError, r"num_epochs = 1 and experiment\.num_rounds = 6"),
    "neither length": ({"num_rounds": 0}, ConfigError, "give the length of training in one of the two"),
    "a wide head": ({"max_head": 1}, ConfigError, r"max_head = 1: first \(2 classes\), second \(2 classes\)"),
    "another root": ({"num_blocks": 4, "variant": "Ti/16"}, UserError, r"--config\.variant=demo/16"),
    "nothing forgotten": ({"defaults": JointDefaults(momentum=1.0)}, ConfigError, r"momentum = 1\.0: .* 0 to 1, not 1"),
    "no data": ({"tasks": ("npz:/nowhere.npz",)}, DataError, "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(case: str, data: Path, tmp_path: Path) -> None:
    changes, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        notes(joint_config(data, "shared", **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_replicas_than_fit_are_refused(data: Path, tmp_path: Path) -> None:
    config = joint_config(data, "shared", replicas=50, device_memory_gb=0.004)
    with pytest.raises(ConfigError, match=r"experiment\.replicas = 50: each takes about .* GB, and \d+ replicas fit"):
        notes(config, tmp_path / "run")


@pytest.mark.parametrize("kind", ["muir", "routing"])
def test_more_replicas_than_fit_are_refused_of_every_method(kind: str, data: Path) -> None:
    made: dict[str, Callable[..., Any]] = {"muir": small.config, "routing": routed.config}
    config = made[kind](data, replicas=5000)
    config.runtime.device_memory_gb = 0.001
    with pytest.raises(ConfigError, match=r"experiment\.replicas = 5000: each takes about .* GB, and \d+ replica"):
        prepared(config)


def test_a_full_disk_ends_it_with_a_message(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The curve is the first of a training's own files; saves that fail end nothing."""
    replace = LocalFolder.replace

    def full(folder: LocalFolder, name: str, content: bytes) -> None:
        if name == "curve.jsonl":
            with disk_full_named(folder.location(name)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(folder, name, content)

    monkeypatch.setattr(LocalFolder, "replace", full)
    flags = [f"--config.tasks=npz:{data}/first.npz,npz:{data}/second.npz", "--config.num_rounds=2"]
    flags += ["--config.num_blocks=1", "--config.batch_size=8", "--config.image_size=16"]
    flags += [f"--config.cache_dir={data}/cache"]
    assert main(["train", "--config=joint:shared", f"--workdir={tmp_path}/run", *flags]) == 2
    assert "curve.jsonl" in (told := capsys.readouterr().err)
    assert "full" in told


def test_configs_of_other_commands_are_sent_there(capsys: pytest.CaptureFixture[str]) -> None:
    for command, config, right in (
        ("train", "demo", "evolve"),
        ("evolve", "joint", "train"),
        ("pretrain", "joint", "train"),
    ):
        assert main([command, f"--config={config}"]) == 2
        assert f"--config={config} is for munet {right}, and this is munet {command}" in capsys.readouterr().err


def test_changed_data_are_refused(data: Path, tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    job = fine_tuning.prepare(joint_config(tmp_path, "shared"))
    from munet.joint.workdir import TRAIN, Workdir

    place = Workdir(str(tmp_path / "run"), TRAIN)
    with place.lock():
        place.begin(job.beginning)
    tiny.write_task(tmp_path / "first.npz", size=10)
    with pytest.raises(WorkdirError, match="the data of 'first': as many images, but others"):
        notes(joint_config(tmp_path, "shared"), tmp_path / "run")
    status = status_json(munet.open(str(tmp_path / "run")))
    assert not status["complete"]
    assert status["unsolved_tasks"] == ["first", "second"]
    with pytest.raises(UserError, match="no model yet: training has not ended"):
        munet.open(str(tmp_path / "run")).predict("first", np.zeros((1, 8, 8, 1), np.uint8))
