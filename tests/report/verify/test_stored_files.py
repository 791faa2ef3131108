"""`munet verify` reads every stored file: a flipped bit in a snapshot, a save in flight or a baseline is found."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from etils import epath

from munet.cli.main import main
from munet.report.verify.verify import verify
from munet.training import save_manifest
from munet.types import Position
from tests.report.stored_run import write_run
from tests.training.flips import flips

PLACES = ("snapshots", "in_flight", "baselines/full", "journal", "components")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in the middle of its second iteration, with a save in flight and a baseline."""
    run = tmp_path / "run"
    write_run(run, until=Position(1, 0, 1))
    write_run(run / "baselines" / "full")
    saved = run / "in_flight" / "0123-4567-000001"
    for number, name in enumerate(("manifest.ocdbt", "d/0a1b", "metadata")):
        (saved / name).parent.mkdir(parents=True, exist_ok=True)
        (saved / name).write_bytes(random.Random(number).randbytes(200))
    save_manifest.write(epath.Path(saved))
    return run


def test_all_of_it_is_counted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = verify(str(run))
    assert report.is_sound, str(report)
    assert (report.num_snapshots, report.num_saves, list(report.baselines)) == (
        len(list((run / "snapshots").iterdir())),
        1,
        ["full"],
    )
    assert report.num_snapshots
    assert main(["verify", f"--workdir={run}"]) == 0
    shown = capsys.readouterr().out
    assert f"{run}/baselines/full is sound" in shown
    assert "1 save of what is in training" in shown.splitlines()[-1]


@pytest.mark.parametrize("place", PLACES)
def test_a_flipped_bit_is_found_in_every_file(run: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("munet.report.verify.stored_files._PAUSE", 0)
    for flip in flips(run / place, min(len(list((run / place).rglob("*"))), 20)):
        report = verify(str(run))
        assert report.num_problems, flip
        assert not report.is_sound
        assert "sound" not in list(report.lines())[-1]


@pytest.mark.parametrize("change", ["missing", "too many"])
def test_files_of_a_save_are_those_of_its_manifest(run: Path, change: str) -> None:
    saved = run / "in_flight" / "0123-4567-000001"
    if change == "missing":
        (saved / "metadata").unlink()
    else:
        (saved / "other").write_bytes(b"")
    (problem,) = verify(str(run)).problems
    assert (problem.place, change in problem.text) == (str(saved), True)
    assert "trains that generation again" in problem.advice


def test_a_save_without_a_manifest_is_noted(run: Path) -> None:
    (run / "in_flight" / "0123-4567-000001" / save_manifest.FILE).unlink()
    (run / "in_flight" / "0123-4567-000002.orbax-checkpoint-tmp").mkdir()
    report = verify(str(run))
    assert report.is_sound
    assert any("goes unchecked" in note for note in report.notes)
    assert report.num_saves == 0


def test_a_save_that_a_run_removes_meanwhile_is_no_problem(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(save: epath.Path) -> None:
        shutil.rmtree(save)
        raise FileNotFoundError(save)

    monkeypatch.setattr(save_manifest, "check", check)
    assert verify(str(run)).is_sound
