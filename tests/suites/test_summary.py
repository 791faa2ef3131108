"""Tables of a suite, worked out by hand (munet/suites/summary.py, pages.py, csv_files.py)."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from munet.suites import csv_files, pages, summary
from munet.suites.summary import Sample
from tests.suites.rows import rows

TWO = [*rows("full", [[0.5, 0.7], [0.6, 1.0]]), *rows("munet", [[0.9, 0.9], [0.8, 0.8]])]


def test_mean_and_deviation_over_runs_of_the_mean_over_tasks() -> None:
    full, munet = summary.methods(TWO)
    assert (full.name, full.seeds, munet.name) == ("full", (0, 1), "munet")
    assert full.test.values == pytest.approx((0.6, 0.8))
    assert (full.test.max, full.test.mean) == pytest.approx((0.8, 0.7))
    assert full.test.std == pytest.approx(math.sqrt(2 * 0.1**2))  # n - 1
    assert full.by_task["digits"][0].values == (0.7, 1.0)
    assert full.by_task["digits"][1].values == pytest.approx((0.71, 1.01))
    assert full.device_hours.values == (0.02, 0.02)
    assert Sample((0.5,)).std is None


def test_the_page_has_tables_1_and_6_and_names_the_omniglot_split() -> None:
    tasks = ("mnist", "omniglot?split=clean")
    own = [*rows("full", [[0.5, 0.7]], tasks), *rows("munet", [[0.9, 0.9]], tasks)]
    page = pages.markdown(
        own, suite="mine:x", against="full", notes=["remember this"], figures=["figures/figure_3.svg"]
    )
    assert "# Results of the suite mine:x\n\n* remember this\n" in page
    assert "| MUNET | 1 | 90.00 | **90.00 (84.7-93.2)** | 0.001 | 0.020 | 10,000 |" in page
    assert "| MUNET | +30.00 | - | - | 2 / 0 / 0 | 1 x 2 |" in page
    assert page.count("| method | mnist | omniglot (clean) | mean |") == 2
    assert "| FULL | 50.00 (40.4-59.6) | 70.00 (60.4-78.1) | 60.00 (53.2-66.3) |" in page
    assert "SHA-256 aaaaaaaaaaaa" in page
    assert "![Figure 3](figures/figure_3.svg)\n\nMean test accuracy against parameters per task;" in page
    assert "averaged over the tasks of a run (mnist, omniglot (clean)): its largest" in page
    assert "| omniglot (clean) | 10 | 900 | 50 | 100 | `train[5%:], train[:5%], test` |" in page
    assert page.count("omniglot") == page.count("omniglot (clean)")  # in every table
    assert "Not like with like" not in page


def test_the_terminal_has_a_line_for_each_method() -> None:
    assert pages.brief(TWO) == [
        "mean test accuracy:",
        "  FULL   70.00 ± 14.14 (63.6-75.5) %  0.001 million parameters a task, 2 runs",
        "  MUNET   85.00 ± 7.07 (79.1-89.0) %  0.001 million parameters a task, 2 runs",
    ]
    assert pages.brief([]) == []


def test_the_data_are_named_with_their_splits() -> None:
    own = rows("full", [[0.5]], ("x",), split="80/10/10", num_validation=60, num_train=1439)
    page = pages.markdown(own, suite="x", against="full")
    assert "| x | 10 | 1,439 | 50 of 60 | 100 | 80/10/10 by content hash and seed |" in page


def test_the_best_of_every_column_is_bold_and_deviations_of_nothing_are_left_out() -> None:
    own = [*rows("full", [[0.5, 0.75], [0.5, 1.0]]), *rows("munet", [[0.75, 0.75], [0.75, 0.5]])]
    page = pages.markdown(own, suite="x", against="full")
    lines = [re.sub(r" \([\d.]+-[\d.]+\)", "", line) for line in page.splitlines()]
    assert "| FULL | 50.00 ± 0.00 | **87.50 ± 17.68** | **68.75 ± 8.84** |" in lines
    assert "| MUNET | **75.00 ± 0.00** | 62.50 ± 17.68 | **68.75 ± 8.84** |" in lines
    assert summary.millions(Sample((1_000_000.0, 1_000_001.0))) == "1.000"
    assert summary.millions(Sample((1_000_000.0, 1_010_000.0))) == "1.005 ± 0.007"


def test_balanced_accuracy_is_called_so() -> None:
    own = [*rows("full", [[0.5, 0.7]]), *rows("munet", [[0.9, 0.9]], quality_metric="balanced_accuracy")]
    assert "## Test accuracy or balanced accuracy per task" in pages.markdown(own, suite="x", against="full")
    assert "quality metrics differ: accuracy: FULL; balanced_accuracy: MUNET" in summary.differences(own)
    assert "## Validation balanced accuracy per task" in pages.markdown(own[2:], suite="x", against="full")


def test_a_page_without_runs_says_so() -> None:
    assert "No run is complete yet." in pages.markdown([], suite="x", against="")


def test_csv_files_hold_the_same_numbers() -> None:
    methods = list(csv.DictReader(io.StringIO(csv_files.methods(TWO))))
    assert [line["method"] for line in methods] == ["full", "munet"]
    assert methods[0]["tasks"] == "mnist, digits"
    assert (methods[0]["test_max"], methods[0]["test_mean"], methods[0]["runs"]) == ("80.0000", "70.0000", "2")
    tasks = list(csv.DictReader(io.StringIO(csv_files.tasks(TWO))))
    assert [(line["method"], line["task"], line["test_mean"]) for line in tasks[:2]] == [
        ("full", "mnist", "55.0000"),
        ("full", "digits", "85.0000"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run_image_steps": 9_000}, "image-steps a run (the budget) differ: 10,000: FULL; 9,000: OTHER"),
        ({"root_sha256": "b" * 64}, "root differ: root.npz (aaaaaaaaaaaa): FULL; root.npz (bbbbbbbbbbbb): OTHER"),
        ({"fingerprint": "0"}, "mnist, seed 0: methods saw different data (2 fingerprints)"),
        ({"num_devices": 4}, "device differ: 1 x cpu: FULL; 4 x cpu: OTHER"),
    ],
)
def test_what_is_not_like_with_like_is_named(changes: dict[str, Any], expected: str) -> None:
    own = [*rows("full", [[0.5, 0.7]]), *rows("other", [[0.9, 0.9]], **changes)]
    assert expected in summary.differences(own)
    assert f"* {expected}" in pages.markdown(own, suite="x", against="full")


def test_other_seeds_tasks_and_settings_are_named() -> None:
    own = [
        *rows("full", [[0.5, 0.7], [0.5, 0.7]]),
        *rows("other", [[0.9]], ("mnist",)),
        *rows("third", [[0.9, 0.9]], experiment_sha256="0"),
        *rows("third", [[0.9, 0.9]], experiment_sha256="1"),
    ]
    found = summary.differences(own)
    assert "seeds differ: 0, 1: FULL; 0: OTHER, THIRD" in found
    assert "digits is missing for: other" in found
    assert "THIRD: not all its runs have the same settings" in found
    alike = [replace(row, title="same", experiment_sha256=row.method) for row in own if row.method != "third"]
    assert not [text for text in summary.differences(alike) if "same settings" in text]
