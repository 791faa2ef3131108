"""What a run refuses before it does anything, with nothing lost and nothing left behind."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.config import Config
from munet.data.splits import Splits
from munet.data.tasks import Task, load_tasks
from munet.errors import DataError, UserError, WorkdirError
from munet.run import runs, setup
from tests import tiny_run
from tests.interrupted import partial


def test_another_experiment_is_refused_and_every_field_named(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    before = sorted(path.read_bytes() for path in (tmp_path / "run" / "journal").iterdir())
    settings = tiny_run.config(data)
    settings.experiment.seed = 7
    settings.experiment.defaults.learning_rate = 0.1
    with pytest.raises(WorkdirError) as error:
        runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert "seed: 0 -> 7" in str(error.value)
    assert "defaults.learning_rate: 0.01 -> 0.1" in str(error.value)
    assert sorted(path.read_bytes() for path in (tmp_path / "run" / "journal").iterdir()) == before


def test_other_data_is_refused(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    tiny_run.write_data(other)
    partial(other, tmp_path / "run")
    (other / "left.npz").write_bytes((other / "right.npz").read_bytes())
    with pytest.raises(WorkdirError, match="the data of 'left': as many images, but others"):
        runs.evolve(tiny_run.config(other), str(tmp_path / "run"), lambda _: None)
    with np.load(other / "right.npz") as arrays:
        np.savez(other / "left.npz", images=arrays["images"][:60], labels=arrays["labels"][:60])
    with pytest.raises(WorkdirError, match="the data of 'left': 72 / 9 / 9 -> 48 / 6 / 6 train / validation / test"):
        runs.evolve(tiny_run.config(other), str(tmp_path / "run"), lambda _: None)


def test_another_root_or_order_of_tasks_is_refused(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    shutil.copytree(data, other)
    partial(other, tmp_path / "run")
    tiny_run.write_root(other / "root.npz", seed=1)
    settings = tiny_run.config(other)
    settings.experiment.tasks = settings.experiment.tasks[::-1]
    with pytest.raises(WorkdirError, match=r"root\.npz holds other bytes than the one the run began with") as error:
        runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert "tasks: left, right -> right, left" in str(error.value)


def test_moved_data_and_root_are_the_same(data: Path, tmp_path: Path) -> None:
    partial(data, tmp_path / "run")
    shutil.copytree(data, tmp_path / "moved")
    partial(tmp_path / "moved", tmp_path / "run")


def test_images_that_cannot_be_decoded_show_before_anything_is_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any, **options: Any) -> list[Task]:
        def load() -> Splits:
            raise DataError("tfds:damaged: labels out of range")

        return [Task(task.info, replace(task.source, load=load)) for task in load_tasks(*arguments, **options)]

    monkeypatch.setattr(setup, "load_tasks", damaged)
    with pytest.raises(DataError, match="2 of 2 tasks cannot be used:\n  - tfds:damaged"):
        runs.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def bad_data(settings: Config) -> None:
    settings.experiment.tasks = ("npz:/no/such/file.npz",)


def test_bad_input_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    bad_data(settings)
    with pytest.raises(DataError):
        runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_missing_data_and_a_missing_root_are_one_message(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.config(data)
    settings.experiment.tasks = ("tfds:mnist", "tfds:omniglot", settings.experiment.tasks[0])
    settings.experiment.root = str(tmp_path / "B_16.npz")
    settings.runtime.data_dir = str(tmp_path)
    with pytest.raises(UserError) as caught:
        runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    message = str(caught.value)
    assert "2 of 3 tasks cannot be used:\n  - tfds:mnist is not prepared" in message
    assert f"tfds build mnist omniglot --file_format=array_record --data_dir={tmp_path}" in message
    assert str(tmp_path / "B_16.npz") in message
    assert not (tmp_path / "run").exists()
