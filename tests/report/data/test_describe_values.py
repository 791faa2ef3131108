"""What `munet data` says of tasks of values: everything in words, and nothing that needs images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.cli.main import main
from tests.data.dna_files import write
from tests.methods.muir import small


def test_windows_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sequence = np.repeat(np.array([1, 2, 3, 4], np.uint8), [40, 30, 20, 40])
    targets = np.where(np.arange(100) < 90, np.tile([0, 2], 50), 4)
    uri = write(tmp_path / "own.npz", sequence=sequence, targets=targets, positions=np.arange(100)) + "?length=1"
    assert main(["data", uri]) == 0
    said = capsys.readouterr().out
    assert "90 training, 5 validation and 5 test windows of 1 nucleotides" in said
    assert "N 0.0%, A 44.4%, C 33.3%, G 22.2%, T 0.0%" in said
    assert "0 to 2, mean 1, deviation 1" in said
    assert "a mean squared error of 9 on validation" in said  # all 4, where the mean is 1
    assert not list(tmp_path.glob("*.png"))


def test_tasks_of_values_stand_beside_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = f"muir:{small.write(tmp_path / 'small.npz')}?task=1"
    assert main(["data", values, "builtin:digits", "--sheet_dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "6 training, 3 validation and 20 test vectors of 8 numbers" in said
    assert "8x8 grey" in said
    assert [file.name for file in tmp_path.glob("*.png")] == ["digits.png"]


@pytest.mark.parametrize("option", ["--check_leaks", "--to_folder={}/new"])
def test_what_needs_images_refuses_values(tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", write(tmp_path / "own.npz"), option.format(tmp_path)]) == 2
    assert "no classes, but a value for each example" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evolve", "pretrain"])
def test_who_trains_on_classes_refuses_values(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"evolve": ["--config=demo"], "pretrain": ["--config=pretrain_demo"]}[command]
    given += [f"--config.tasks={write(tmp_path / 'own.npz')}", f"--workdir={tmp_path}/run"]
    assert main([command, *given]) == 2
    assert "`munet train --config=muir:...` learns such tasks" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
