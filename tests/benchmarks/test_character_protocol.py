"""The benchmark of the paper's whole protocol: its budget, its stand-ins, and a run at a tiny scale."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import character_protocol as protocol
from munet.config import Config
from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.evolution.schedule import images_of_run
from munet.types import TaskInfo

ROOT = Path(__file__).parents[2]
BASE = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), np.uint8)


def plan(config: Config, scale: float = 1.0) -> list[TaskInfo]:
    sizes = [(name, size.scaled(scale)) for name, size in protocol.SIZES.items()]
    return [
        TaskInfo(name, uri, "", tuple(map(str, range(size.classes))), size.train, size.validation, size.test)
        for (name, size), uri in zip(sizes, config.experiment.tasks, strict=True)
    ]


def test_the_protocol_is_as_long_as_the_paper_says() -> None:
    """100 batches of 512 a cycle on the first four sets, 38, 10, 5 and 5 on the others."""
    config = protocol.settings()
    phases = 2 * 8 * 8 * 5
    assert images_of_run(config.experiment, plan(config)) == 293_120 * 512 == phases * (400 + 38 + 10 + 5 + 5) * 512
    assert config.experiment.search_space.image_size == (32,)
    names = [uri.removeprefix("tfds:").partition("?")[0] for uri in config.experiment.tasks]
    assert names == list(protocol.SIZES)


def test_a_scale_shrinks_the_budget_but_not_the_classes() -> None:
    config = protocol.settings(0.01)
    assert images_of_run(config.experiment, plan(config, 0.01)) < 293_120 * 512 / 1000
    assert [task.num_classes for task in plan(config, 0.01)] == [size.classes for size in protocol.SIZES.values()]
    assert protocol.settings(1).experiment == protocol.settings().experiment


def test_a_stand_in_has_the_size_that_it_stands_for() -> None:
    size = protocol.Size(classes=20, pixels=28, train=100, validation=11, test=7)
    task = protocol.stand_in("kmnist", size, BASE)
    info = open_task(task.uri, OpenSettings(cache_dir="off", arrays={task.name: task})).info
    assert (info.num_classes, info.num_train, info.num_validation, info.num_test) == (20, 100, 11, 7)
    images, labels = task.parts["train"]
    assert images.shape == (100, 28, 28, 1)
    assert np.bincount(labels).tolist() == [5] * 20
    assert task.digest == protocol.stand_in("kmnist", size, BASE).digest
    assert task.digest != protocol.stand_in("mnist", size, BASE).digest


def test_images_of_a_class_are_shifts_of_one_and_classes_differ() -> None:
    size = protocol.Size(classes=8 * len(BASE), pixels=32, train=8 * len(BASE) * 40, validation=1, test=1)
    images, labels = protocol.stand_in("mnist", size, BASE).parts["train"]
    margin = 2 * protocol.MAX_SHIFT
    centres = set()
    for label in range(size.classes):
        own = {image.tobytes() for image in images[labels == label]}
        assert 1 < len(own) <= (margin + 1) ** 2
        # Unshifted, or shifted by whole pixels: the middle of one is somewhere in the other.
        first, other = images[labels == label][:2, :, :, 0]
        middle = first[margin:-margin, margin:-margin]
        windows = np.lib.stride_tricks.sliding_window_view(other, middle.shape)
        assert (windows == middle).all(axis=(2, 3)).any()
        centres.add(np.sort(first[margin:-margin, margin:-margin], axis=None).tobytes() + bytes(first[8]))
    assert len(centres) == size.classes


def test_the_options_that_cannot_be_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache").mkdir()
    for given, expected in {"--scale=0": "expected above 0", f"--work={tmp_path}": "expected an empty or new"}.items():
        with pytest.raises(SystemExit):
            protocol.parse([given])
        assert expected in capsys.readouterr().err


@pytest.mark.slow
def test_both_runs_at_a_tiny_scale(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/character_protocol.py", "--scale=0.004", "--variant=demo/16"]
    command += [f"--data_dir={tmp_path}", f"--work={tmp_path}/work"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=280).stdout
    (line,) = output.splitlines()
    found = json.loads(line)
    assert found["stand_ins"] == sorted(protocol.SIZES)
    assert found["root"] == "random"
    config = protocol.settings(0.004)
    for name in ("cold", "warm"):
        one = found[name]
        assert one["complete"]
        assert one["image_steps"] == one["image_steps_of_all"]
        assert one["image_steps"] == images_of_run(config.experiment, plan(config, 0.004))
        assert one["generations"] == 2 * len(protocol.SIZES) * config.experiment.num_generations
        assert 0 < one["before_training_s"] < one["seconds"]
    assert found["cold"]["programs_from_cache"] == 0 < found["warm"]["programs_from_cache"]
    assert found["cold"]["mean_test_accuracy"] == found["warm"]["mean_test_accuracy"]
