"""Event files, read back with TensorBoard's own reader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from munet.cli import main
from munet.report.tensorboard import command
from munet.report.tensorboard.points import Fold, Scalar
from munet.store import Store
from munet.system import view
from munet.types import Position
from tests.report import fixed_journal
from tests.report.stored_run import write_run

pytest.importorskip("tensorboardX", reason="an extra")
reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="an extra")


def read(place: Path) -> Any:
    found = reader.EventAccumulator(str(place), size_guidance={reader.SCALARS: 0, reader.IMAGES: 0})
    found.Reload()
    return found


def values(found: Any, tag: str) -> list[tuple[int, Any]]:
    return [(event.step, pytest.approx(event.value)) for event in found.Scalars(tag)]


def test_tensorboard_reads_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed_journal.write(tmp_path / "run")
    assert main(["tensorboard", f"--workdir={tmp_path}/run", f"--logdir={tmp_path}/logs"]) == 0
    assert "7 journal entries" in capsys.readouterr().out
    found = read(tmp_path / "logs" / "run")
    assert values(found, "task/one/validation") == [(600, 0.7), (1500, 0.9), (1500, 0.9)]
    assert values(found, "task/one/test") == [(1500, 0.8)]
    assert values(found, "system/params_per_task") == [(1500, 240), (3600, 173)]
    assert values(found, "cost/images_per_second") == [(step, 100) for step in (600, 1500, 2100, 3600)]
    images = found.Images("system/graph")
    assert [image.step for image in images] == [1500, 3600]
    assert images[0].encoded_image_string[:4] == b"\x89PNG"
    child = read(tmp_path / "logs" / "run" / "children" / "7")
    assert values(child, "hparam/validation") == [(3600, 0.6)]
    plugins = child.summary_metadata["_hparams_/session_start_info"].plugin_data
    assert plugins.plugin_name == "hparams"
    assert b"learning_rate" in plugins.content


def test_every_point_is_there(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    command.write([str(tmp_path / "run")], str(tmp_path / "logs"))
    found, run = read(tmp_path / "logs" / "run"), view.open(str(tmp_path / "run"))
    fold = Fold(run.controller)
    wanted: dict[str, list[tuple[int, float]]] = {}
    for entry in run.store.journal.entries():
        points = fold.tell(entry)
        for item in points.items:
            if isinstance(item, Scalar):
                wanted.setdefault(item.tag, []).append((points.step, item.value))
    assert set(found.Tags()["scalars"]) == set(wanted)
    for tag, pairs in wanted.items():
        assert values(found, tag) == pairs


def test_again_replaces_and_leaves_files_of_others(tmp_path: Path) -> None:
    fixed_journal.write(tmp_path / "run")
    (tmp_path / "logs" / "run").mkdir(parents=True)
    (tmp_path / "logs" / "run" / "notes.txt").write_text("mine")
    for _ in range(2):
        command.write([f"{tmp_path}/run"], str(tmp_path / "logs"))
    assert values(read(tmp_path / "logs" / "run"), "task/one/test") == [(1500, 0.8)]
    assert (tmp_path / "logs" / "run" / "notes.txt").read_text() == "mine"


def test_runs_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("a/run", "b/run"):
        fixed_journal.write(tmp_path / name)
    command.write([f"{tmp_path}/a/run", f"{tmp_path}/b/run/"], str(tmp_path / "logs"))
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"run", "b-run"}


def test_it_follows_a_run_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "whole")
    write_run(tmp_path / "run", until=Position(0, 1, 1))
    entries = list(Store.open(tmp_path / "whole").journal.entries())
    store = Store.open(tmp_path / "run")

    def commit(_: float) -> None:
        """What the run would do meanwhile."""
        with store.lock():
            store.journal.append(entries[len(store.journal)])

    command.write([str(tmp_path / "run")], str(tmp_path / "logs"), follow=True, wait=commit)
    assert "1 journal entry more" in capsys.readouterr().out
    command.write([str(tmp_path / "whole")], str(tmp_path / "logs"))
    followed, whole = read(tmp_path / "logs" / "run"), read(tmp_path / "logs" / "whole")
    assert followed.Tags()["scalars"] == whole.Tags()["scalars"]
    for tag in whole.Tags()["scalars"]:
        assert values(followed, tag) == values(whole, tag)


def test_mistakes_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["tensorboard", f"--workdir={tmp_path}/nothing", f"--logdir={tmp_path}/logs"]) == 2
    fixed_journal.write(tmp_path / "run")
    (tmp_path / "file").write_text("")
    assert main(["tensorboard", f"--workdir={tmp_path}/run", f"--logdir={tmp_path}/file"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["tensorboard", f"--workdir={tmp_path}/run", "--logdir="]) == 2
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert main(["tensorboard", f"--workdir={tmp_path}/run", f"--logdir={tmp_path}/logs"]) == 2
    assert "'.[tensorboard]'" in capsys.readouterr().err
