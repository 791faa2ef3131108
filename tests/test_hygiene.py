"""Test images decide nothing: a run looks at them once a phase has ended, and is stopped if it does so before."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.config import Config
from munet.data.splits import Split, SplitName
from munet.data.tasks import Task
from munet.errors import HygieneError
from munet.run import runs
from munet.store import Store
from munet.types import GenerationEntry, PhaseEntry
from tests import tiny_run

SPLIT = Task.split


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    """Two phases of one generation."""
    tiny_run.write_data(tmp_path / "data")
    config = tiny_run.config(tmp_path / "data")
    experiment = config.experiment
    experiment.num_task_iterations, experiment.num_generations, experiment.cycles_per_child = 1, 1, 1
    experiment.search_space.image_size = (32,)
    return config


def test_test_images_are_looked_at_when_a_phase_has_ended(
    settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = tmp_path / "run"
    seen: list[tuple[str, list[type]]] = []

    def split(task: Task, name: SplitName) -> Split:
        if name == "test":
            seen.append((task.info.name, [type(entry) for entry in Store.open(workdir).journal.entries()][1:]))
        return SPLIT(task, name)

    monkeypatch.setattr(Task, "split", split)
    runs.evolve(settings, str(workdir), lambda _: None)
    assert seen == [("left", [GenerationEntry]), ("right", [GenerationEntry, PhaseEntry, GenerationEntry])]


@pytest.mark.parametrize("instead_of", ["train", "validation"])
def test_a_phase_that_looks_at_test_images_is_stopped(
    instead_of: str, settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a fault of the program would: the test images in place of others."""
    monkeypatch.setattr(Task, "split", lambda task, name: SPLIT(task, "test" if name == instead_of else name))
    with pytest.raises(HygieneError, match="decides nothing; use the validation split"):
        runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert not any(isinstance(entry, GenerationEntry) for entry in Store(tmp_path / "run").journal.entries())
