"""`munet evolve --dry_run` through the run loop: it says what would happen and writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from munet.errors import UserError
from munet.progress import events
from munet.run import dry_run, runs
from munet.training.placement import devices
from tests import tiny_run


def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[events.Event] = []
    settings = tiny_run.config(data)
    settings.runtime.compare = ("multi_head", "full")
    monkeypatch.setattr(devices.DeviceLayout, "chunks_at_once", 2)  # as on two cores
    runs.evolve(settings, str(tmp_path / "run"), told.append, dry_run=True)
    assert not (tmp_path / "run").exists()
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "4 phases (2 tasks x 2 iterations) of 2 generations of 2 children, 2 cycles a child" in text
    assert "ms a step of 16" in text
    evolved = 4 * 2 * 2 * 2 * 2 * 16  # phases, generations, children, cycles, steps, images
    assert f"{evolved:,} training images in all" in text
    assert f"{2 * evolved:,} more for the baselines to compare with: multi_head, full" in text
    assert "baselines included" in text
    for part in (
        "on disk",
        "host memory",
        "resident",
        "Memory of a device",
        "1 x 1 x 1",
        "2 / 2",
        "16 of 16",
        "every layer",
    ):
        assert part in text
    assert "fits" in text
    assert "likely" in text


def test_what_takes_long_is_said_before_it_begins(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def measure(*_: object) -> None:
        assert told[-1].strip().startswith("Measuring")
        raise UserError("far enough")

    described = dry_run.describe(tiny_run.config(data), told.append, measure)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="far enough"):
        told.extend(described)


def test_a_dry_run_without_data_and_root_says_what_it_can(data: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    settings = tiny_run.config(data)
    settings.experiment.tasks = (settings.experiment.tasks[0], "tfds:mnist?train=train[:50%]")
    settings.experiment.root = str(tmp_path / "B_16.npz")
    settings.runtime.data_dir = str(tmp_path)
    with pytest.raises(UserError) as caught:
        runs.evolve(settings, str(tmp_path / "run"), told.append, dry_run=True)
    assert "tfds build mnist --file_format=array_record" in str(caught.value)
    assert "B_16.npz" in str(caught.value)
    assert not (tmp_path / "run").exists()
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "4 phases (2 tasks x 2 iterations)" in text
    assert re.search(r"\n +~ tfds:mnist +\? +\? +\? +\? +2 x 16 +16 ", text)
    assert "likely" in text
