"""What is found of systems on the same tasks: means, names, paired differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from munet import intervals
from munet.report import overview
from munet.report.comparison import comparison, display_name
from munet.report.tables import Cell
from munet.system import view
from munet.system.view import RunView
from munet.types import Position, TaskInfo
from tests.evolution.simulation import make_tasks
from tests.report.stored_run import write_run


def test_comparison_of_systems(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=1)
    systems = {"first": view.open(str(tmp_path / "a")), "second": view.open(str(tmp_path / "b"))}
    table = comparison(systems)
    assert table.names == ("first", "second")
    assert [row.name for row in table.rows] == ["task0", "task1"]
    for index, opened in enumerate(systems.values()):
        for row in table.rows:
            quality = opened.models[row.name].test_quality
            assert quality is not None
            interval = intervals.of_quality(quality)
            assert row.cells[index] == Cell(quality.value, opened.accounted_params(row.name), interval)
        mean = table.mean.cells[index]
        assert mean.params == opened.params_per_task
        assert mean.test == pytest.approx(sum(row.cells[index].test or 0 for row in table.rows) / 2)


def test_an_unfinished_system_has_no_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", until=Position(0, 1, 0))
    table = comparison({"whole": view.open(str(tmp_path / "a")), "part": view.open(str(tmp_path / "b"))})
    assert table.rows[1].cells[1] == table.mean.cells[1] == Cell(None, None)
    assert table.verdict == "Not every task is measured for part, so the means cannot be compared."
    assert "| - |" in table.markdown()


def test_baselines_have_names_for_people() -> None:
    names = [display_name(kind) for kind in ("", "multi_head", "full", "top_layers", "adapters")]
    assert names == ["muNet", "multi-head", "full fine-tuning", "top layers", "residual adapters"]


@pytest.mark.parametrize("split", ["clean", "paper"])
def test_every_table_names_the_omniglot_split(split: str, tmp_path: Path) -> None:
    """Accuracies on the paper's split are not held out: no number may stand without it."""
    classes = ("a", "b", "c")
    omniglot = TaskInfo("omniglot", f"tfds:omniglot?split={split}", "f", classes, 800, 100, 100)
    write_run(tmp_path, tasks=(omniglot, *make_tasks(5)))
    opened = view.open(str(tmp_path))
    label = f"omniglot ({split})"
    assert [row.name for row in comparison({"muNet": opened}).rows] == [label, "task0"]
    assert [row[0] for row in overview.rows(opened)] == [label, "task0"]


def rights(monkeypatch: pytest.MonkeyPatch, right: dict[str, int]) -> None:
    """Says which of 100 test images each system has right: the first ones."""
    phase = RunView.last_phase
    counted = (60, 40)
    monkeypatch.setattr(
        RunView, "last_phase", lambda self, task: replace(phase(self, task), test_counted_per_class=counted)
    )
    monkeypatch.setattr(RunView, "test_right", lambda self, _: np.arange(100) < right[Path(self.workdir).name])


def test_differences_are_paired_where_the_images_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=1)
    systems = {name: view.open(str(tmp_path / name)) for name in ("a", "b")}
    table = comparison(systems)
    assert "not paired by image" in table.verdict
    rights(monkeypatch, {"a": 90, "b": 80})
    paired = comparison(systems)
    assert "not paired by image" not in paired.verdict
    assert "what other test images would give" in paired.verdict
    difference = next(item for item in paired.mean.behind if item)
    assert difference.is_paired
    best = paired.mean.best[0]
    own, other = (np.arange(100) < number for number in ((90, 80) if best == 0 else (80, 90)))
    each = intervals.of_paired_difference(own, other, [60, 40])
    values = [row.cells[best].test - row.cells[1 - best].test for row in paired.rows]  # type: ignore[operator]
    assert difference.interval == pytest.approx(intervals.of_mean(values, [each] * 2))
    assert paired.mean.behind[best] is None
