"""A flipped bit in a save is told, and never trained on: in every file of a run's saves and of a pre-training's."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.joint.saving import JointSaves
from munet.progress import events
from munet.run import runs
from munet.training import save_manifest
from munet.training.in_flight import InFlight, SaveKey
from munet.training.measure.validation import CycleScores
from munet.training.program.programs import init_state
from munet.types import Quality
from tests import tiny_run
from tests.interrupted import Stop, until
from tests.joint import tiny
from tests.joint.tiny import pretrain
from tests.training.flips import flips

KEY = SaveKey((0, "fake", 0), (1, 2), ("one chunk",))
STATE = init_state({"head": {"kernel": np.arange(600, dtype=np.float32).reshape(20, 30)}})
JOINT = {"head": jnp.arange(600.0), "loss_sum": jnp.float32(0)}


def in_flight(folder: Path, told: list[str]) -> Callable[[], Any]:
    """Saves a wave; gives what reads it."""
    saves = InFlight(str(folder), minutes=0, note=told.append)
    saves.save(KEY, 1, [STATE], CycleScores({id: (Quality(1, 3),) * 2 for id in KEY.ids}))
    saves.wait()
    return lambda: saves.restore(KEY, [jax.device_put(STATE)])


def in_training(folder: Path, told: list[str]) -> Callable[[], Any]:
    """Saves a pre-training's state; gives what reads it."""
    saves = JointSaves(str(folder), minutes=0, note=told.append)
    saves.save_if_due(JOINT, 7, 1.5)
    saves.wait()
    return lambda: saves.restore(JOINT)


@pytest.mark.parametrize("save", [in_flight, in_training])
def test_100_flips_are_told_and_nothing_is_used(
    save: Callable[[Path, list[str]], Callable[[], Any]], tmp_path: Path
) -> None:
    told: list[str] = []
    restore = save(tmp_path / "saved", told)
    shutil.copytree(tmp_path / "saved", tmp_path / "sound")
    assert restore() is not None
    assert told == []
    num_files = len([path for path in (tmp_path / "sound").rglob("*") if path.is_file()])
    touched = set()
    for flip in flips(tmp_path / "sound", 100):
        shutil.rmtree(tmp_path / "saved", ignore_errors=True)
        shutil.copytree(tmp_path / "sound", tmp_path / "saved")
        assert restore() is None, flip
        assert len(told) == 1, (flip, told)
        assert "cannot be used" in told.pop(), flip
        touched.add(flip.partition(" ")[0])
    assert len(touched) >= num_files - 1  # all but the empty one


def test_a_save_that_cannot_be_listed_is_told_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be taken for one without a manifest, and used as it is."""

    def is_there(save: object) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    told: list[str] = []
    restore = in_flight(tmp_path / "saved", told)
    monkeypatch.setattr(save_manifest, "is_there", is_there)
    assert restore() is None
    assert len(told) == 1
    assert "cannot be used" in told[0]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_100_runs_go_on_from_a_flipped_save_and_none_differs(data: Path, tmp_path: Path) -> None:
    def finish(workdir: Path) -> tuple[dict[str, object], list[str]]:
        told: list[str] = []
        runs.evolve(tiny_run.config(data), str(workdir), lambda event: told.append(getattr(event, "text", "")))
        return tiny_run.results(workdir), [text for text in told if text]

    with pytest.raises(Stop):
        runs.evolve(tiny_run.config(data, checkpoint_minutes=0), str(tmp_path / "stopped"), until(events.CycleEnded, 7))
    assert list((tmp_path / "stopped" / "in_flight").iterdir())
    shutil.copytree(tmp_path / "stopped", tmp_path / "sound")
    expected, notes = finish(tmp_path / "sound")
    assert notes == []
    for number, flip in enumerate(flips(tmp_path / "stopped" / "in_flight", 100)):
        workdir = tmp_path / f"run{number}"
        shutil.copytree(tmp_path / "stopped", workdir)
        found, notes = finish(workdir)
        assert found == expected, flip
        assert any("cannot be used" in note for note in notes), flip
        shutil.rmtree(workdir)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_100_pretrainings_go_on_from_a_flipped_save_and_none_differs(tmp_path: Path) -> None:
    def stop(text: str) -> None:
        if text.startswith("step 24"):
            raise Stop

    def finish(workdir: Path) -> tuple[dict[str, Any], list[str]]:
        told: list[str] = []
        pretrain(tiny.config(tmp_path / "data"), str(workdir), told.append, "the command")
        return tiny.results(workdir), told

    tiny.write_data(tmp_path / "data")
    with pytest.raises(Stop):
        pretrain(tiny.config(tmp_path / "data"), str(tmp_path / "stopped"), stop, "the command")
    assert list((tmp_path / "stopped" / "in_training").iterdir())
    shutil.copytree(tmp_path / "stopped", tmp_path / "sound")
    expected, _ = finish(tmp_path / "sound")
    for number, flip in enumerate(flips(tmp_path / "stopped" / "in_training", 100)):
        workdir = tmp_path / f"run{number}"
        shutil.copytree(tmp_path / "stopped", workdir)
        found, told = finish(workdir)
        assert found == expected, flip
        assert any("cannot be used" in text for text in told), flip
        shutil.rmtree(workdir)
