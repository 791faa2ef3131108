"""How the comparison of systems is said and shown: verdict, Markdown, terminals of any width."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from munet import intervals
from munet.report.comparison import comparison
from munet.report.differences import Difference
from munet.report.tables import Cell, ComparisonTable, TableRow
from munet.system import view
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


def test_what_is_not_told_apart_is_said() -> None:
    apart, equal = Difference(0.1, (0.02, 0.18), True), Difference(0.04, (-0.01, 0.09), True)
    table = by_hand()
    first = replace(table.rows[0], behind=(apart, None, equal))
    second = replace(table.rows[1], behind=(apart, apart, None))
    mean = TableRow("mean", table.mean.cells, (apart, equal, None))
    verdict = ComparisonTable(table.names, (first, second), mean).verdict
    assert "multi-head is 46.50 points below (2.00 to 18.00); full" in verdict
    assert "full fine-tuning is 4.00 points below (-1.00 to 9.00: not told apart)." in verdict
    assert verdict.endswith("muNet 1; told apart from all others: muNet 1.")
