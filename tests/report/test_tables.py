from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from munet import intervals
from munet.report import overview
from munet.report.differences import Difference
from munet.report.tables import Cell, ComparisonTable, TableRow, comparison, display_name
from munet.system import view
from munet.system.view import RunView
from munet.types import Position, TaskInfo
from tests.evolution.simulation import make_tasks
from tests.report.stored_run import write_run


def by_hand() -> ComparisonTable:
    """Two tasks: `full` wins the first, muNet the second and the mean."""
    return ComparisonTable(
        ("multi-head", "full fine-tuning", "muNet"),
        (
            TableRow("one", (Cell(0.5, 100.0), Cell(0.9, 1000.0), Cell(0.88, 300.0))),
            TableRow("two", (Cell(0.25, 200.0), Cell(0.7, 1000.0), Cell(0.8, 400.5))),
        ),
        TableRow("mean", (Cell(0.375, 150.0), Cell(0.8, 1000.0), Cell(0.84, 350.25))),
    )


def test_markdown_by_hand() -> None:
    assert by_hand().markdown() == (
        "| task | multi-head | full fine-tuning | muNet | parameters, multi-head | parameters, full fine-tuning "
        "| parameters, muNet |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| one | 50.00% | **90.00%** | 88.00% | 100 | 1,000 | 300 |\n"
        "| two | 25.00% | 70.00% | **80.00%** | 200 | 1,000 | 400 |\n"
        "| mean | 37.50% | 80.00% | **84.00%** | 150 | 1,000 | 350 |\n"
        "\n"
        "muNet has the best mean test accuracy, 84.00%; multi-head is 46.50 points below; full fine-tuning is 4.00 "
        "points below. Best, or equal to the best, on how many of the 2 tasks: multi-head 0, full fine-tuning 1, "
        "muNet 1.\n"
    )


def test_a_loss_is_said_as_plainly() -> None:
    table = by_hand()
    mean = TableRow("mean", (*table.mean.cells[:2], Cell(0.79, 350.0)))
    verdict = ComparisonTable(table.names, table.rows, mean).verdict
    assert verdict.startswith("full fine-tuning has the best mean test accuracy, 80.00%")
    assert "muNet is 1.00 points below" in verdict


def test_a_tie_has_no_single_winner() -> None:
    table = by_hand()
    mean = TableRow("mean", (*table.mean.cells[:2], Cell(0.8, 350.0)))
    verdict = ComparisonTable(table.names, table.rows, mean).verdict
    assert verdict.startswith("full fine-tuning and muNet have the same mean test accuracy, 80.00%; multi-head is")


def test_rich_table_shows_the_same_numbers() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(by_hand().rich())
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for expected in ("one", "two", "mean", "50.00%", "84.00%", "1,000", "muNet has the best mean"):
        assert expected in text


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


def test_what_is_not_told_apart_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart, equal = Difference(0.1, (0.02, 0.18), True), Difference(0.04, (-0.01, 0.09), True)
    table = by_hand()
    first = replace(table.rows[0], behind=(apart, None, equal))
    second = replace(table.rows[1], behind=(apart, apart, None))
    mean = TableRow("mean", table.mean.cells, (apart, equal, None))
    verdict = ComparisonTable(table.names, (first, second), mean).verdict
    assert "multi-head is 46.50 points below (2.00 to 18.00); full" in verdict
    assert "full fine-tuning is 4.00 points below (-1.00 to 9.00: not told apart)." in verdict
    assert verdict.endswith("muNet 1; told apart from all others: muNet 1.")


@pytest.mark.parametrize("width", [60, 80, 140, 200])
def test_the_comparison_cuts_no_digit(width: int, tmp_path: Path) -> None:
    write_run(tmp_path)
    opened = view.open(str(tmp_path))
    names = ("multi-head", "full fine-tuning", "top layers", "residual adapters", "LoRA", "tuned fine-tuning", "muNet")
    table = comparison(dict.fromkeys(names, opened))
    console = Console(file=io.StringIO(), width=width)
    console.print(table.rich())
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in table.rows:
        quality = opened.models[row.name].test_quality
        assert quality is not None
        low, high = intervals.of_quality(quality)
        body = text.partition("muNet")[0] + text
        assert body.count(f"{quality.value:.2%}") >= len(names)
        assert body.count(f"({100 * low:.1f}-{100 * high:.1f})") >= len(names)
