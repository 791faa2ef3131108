"""Copies of a root whose blocks share modules, as rows of a table with other kinds (MUiR)."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet import kinds
from munet.config import MuirExperiment, to_json
from munet.joint.beginning import Beginning
from munet.joint.records import CurvePoint
from munet.joint.workdir import Workdir
from munet.methods.muir.folding import sizes
from munet.methods.muir.result import MUIR, GeneratedLeaf, MuirReplica, MuirResult, MuirTaskResult
from munet.suites import results
from munet.suites.rows import Row, rows_of
from munet.types import Quality, TaskInfo

NAMES = ("left", "right")
OWN = 7  # parameters of a task that are not generated
BLOCK = (2, 3)
LAST, BEST = (0, 0, 0, 0, 0, 0), (0, 0, 1, 2, 0, 0)  # modules of three blocks of each task


def training(place: Path, keep: str) -> list[Row]:
    """The rows of a training of two seeds, whose second version of three was the best."""
    experiment = MuirExperiment(
        tasks=tuple(f"npz:{name}.npz" for name in NAMES), nets=("vit", "vit"), block_rows=2, block_columns=3,
        context=1, batch_size=5, keep=keep,  # type: ignore[arg-type]  # one of the literals
    )  # fmt: skip
    infos = tuple(TaskInfo(name, f"npz:{name}.npz", "f", ("x", "y"), 9, 10, 10) for name in NAMES)
    at = Workdir(place, MUIR)
    at.begin(Beginning(to_json(experiment), infos, {"num_devices": 1}, {}, root={"name": "root.npz"}))
    at.write_curve(
        [
            CurvePoint(step, 0, 0, 0, 0, {name: Quality(step + replica, 10) for name in NAMES}, 0, replica)
            for step in (2, 4, 6)
            for replica in (0, 1)
        ],
        "",
    )
    task = MuirTaskResult(0, 0, 0, 0, 4, 0, 0, 11, {"plain_params": OWN + 3 * 6}, "accuracy", Quality(5, 10), Quality(8, 10))  # fmt: skip  # noqa: E501
    replicas = tuple(MuirReplica(seed, dict.fromkeys(NAMES, task), LAST, 4, BEST, "") for seed in (3, 4))
    at.finish(MuirResult(replicas, 6, 60, 8.0, tuple(GeneratedLeaf(name, "k", 1, 2, 9) for name in NAMES)), {})
    found = rows_of(str(place), "muir", "MUiR")
    assert found is not None
    return found


@pytest.mark.parametrize(("keep", "test", "validation", "mapping"), [("loss", 8, 4, BEST), ("last", 5, 6, LAST)])
def test_rows_are_of_the_version_that_counts(
    keep: str, test: int, validation: int, mapping: tuple[int, ...], tmp_path: Path
) -> None:
    rows = training(tmp_path / "muir", keep)
    assert [(row.seed, row.task) for row in rows] == [(3, "left"), (3, "right"), (4, "left"), (4, "right")]
    assert {row.test_correct for row in rows} == {test}
    assert [row.validation_correct for row in rows] == [validation, validation, validation + 1, validation + 1]
    assert {row.total_params for row in rows} == {2 * OWN + sizes(mapping, 1, BLOCK).folded}
    for first, second in (rows[:2], rows[2:]):
        assert first.accounted_params + second.accounted_params == pytest.approx(first.total_params)
    results.write(str(tmp_path), rows)
    assert results.read(str(tmp_path)) == rows


def test_sizes_by_hand(tmp_path: Path) -> None:
    """Module 0 is used twice by each task: it stays, six numbers and two contexts each; 1 and 2 are one block each."""
    left, right, *_ = training(tmp_path, "loss")
    assert left.params == right.params == OWN + (6 + 2) + 6
    assert left.accounted_params == OWN + (3 + 2) + 6
    assert left.image_steps == 6 * 5
    assert (left.run_image_steps, left.run_device_seconds) == (60, 4.0)


def test_while_it_trains_there_are_no_rows(tmp_path: Path) -> None:
    Workdir(tmp_path, MUIR).begin(Beginning(to_json(MuirExperiment()), (), {}, {}))
    assert kinds.found(str(tmp_path)) is MUIR
    assert rows_of(str(tmp_path), "muir", "MUiR") is None
