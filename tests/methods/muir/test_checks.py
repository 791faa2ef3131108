"""What is said of settings that do not fit the models: all of it at once, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from munet.errors import ConfigError, UserError
from munet.methods.muir import job
from munet.methods.muir.checks import check, overhang
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import by_path, lenet, linear
from tests.joint import tiny
from tests.methods.muir.small import config


def learner_of(folder: Path, rows: int, columns: int) -> Muir:
    settings = config(folder, block_rows=rows, block_columns=columns, groups=(), context=2).experiment
    return Muir(settings, ["a"], {"a": [0]}, {"a": lenet()})


def test_blocks_that_hang_over_are_said_with_those_that_fit(tmp_path: Path) -> None:
    assert overhang(learner_of(tmp_path, 16, 16)) == ""
    assert overhang(learner_of(tmp_path, 4, 32)).endswith("Blocks of 4 x 16 would fit all.")
    # Kernels of 25 taps 16 x 16, 576 x 128 and 128 x 96 in blocks of 20 x 16: 20 for 16, 580 for 576, 140 for 128.
    blocks = 25 * 1 * 1 + 29 * 8 + 7 * 6
    share = 1 - (25 * 16 * 16 + 576 * 128 + 128 * 96) / (blocks * 20 * 16)
    said = overhang(learner_of(tmp_path, 20, 16))
    assert f"blocks of 20 x 16 hang over the edges of weights: {share:.1%} of what they have is cut off" in said
    assert said.endswith("Blocks of 16 x 16 would fit all.")


def test_every_model_counts_in_what_is_cut_off(tmp_path: Path) -> None:
    """Three linear models in one part, 8 x 1 in two blocks of 5 x 1 each, beside one alone of 10 x 1."""
    settings = config(tmp_path, block_rows=5, groups=(), tasks=config(tmp_path).experiment.tasks[:4]).experiment
    learner = Muir(settings, list("abcd"), {"abc": [0, 1, 2], "d": [3]}, {"abc": linear((8,)), "d": linear((10,))})
    assert f"{3 * 2 / (3 * 10 + 10):.1%} of what they have is cut off" in overhang(learner)


def test_a_rule_that_generates_nothing_is_refused(tmp_path: Path) -> None:
    settings = config(tmp_path, groups=()).experiment
    learner = Muir(settings, ["a"], {"a": [0]}, {"a": replace(linear((8,)), rule=by_path({}))})
    prepared = job.prepare(config(tmp_path))
    with pytest.raises(ConfigError, match="generates no leaf of any model"):
        check(learner, prepared.streams, 1)
    assert overhang(learner) == ""


def test_data_and_root_are_named_together(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    tasks = f"npz:{tmp_path}/first.npz", f"npz:{tmp_path}/frst.npz"
    settings = config(tmp_path, tasks=tasks, groups=(), nets=("vit", "vit"), root=f"{tmp_path}/root.npz")
    with pytest.raises(UserError) as caught:
        job.prepare(settings)
    text = str(caught.value)
    assert "frst.npz" in text
    assert "There is no checkpoint" in text
