"""The paper's numbers: the data file against itself and the spec, and the section that shows them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from munet.suites import reference
from munet.suites.suite import SUITE_FILES
from tests.suites.rows import rows


@pytest.mark.parametrize("benchmark", ["characters", "decathlon"])
def test_the_means_of_the_papers_tasks_are_the_means_of_its_table(benchmark: str) -> None:
    numbers = reference.paper(benchmark)
    for name, method in numbers.methods.items():
        assert list(method.test) == list(method.validation) == list(numbers.splits)
        known = [value[0] for value in method.test.values() if value]
        if len(known) == len(numbers.splits):
            assert math.fsum(known) / len(known) == pytest.approx(method.mean, abs=0.03), name  # one digit each


def test_every_method_of_the_papers_suites_has_its_numbers() -> None:
    for benchmark in ("characters", "decathlon"):
        assert set(SUITE_FILES.load(benchmark).names) == set(reference.paper(benchmark).methods)
    assert reference.paper("characters").image_steps == 293_120 * 512


def test_what_differs_is_named() -> None:
    own = rows("full", [[0.5, 0.7]], ("mnist", "omniglot?split=clean"))
    own = [
        replace(row, task=row.task.partition("?")[0], split="clean" if "omni" in row.task else row.split) for row in own
    ]
    found = "\n".join(reference.differences(own, "characters"))
    for part in (
        "root: root.npz (Ti/16, 3 blocks); the paper: Ti/16, imagenet-21k",
        "data: the paper also has emnist/digits, emnist/letters, kmnist, cmaterdb/bangla",
        "split of omniglot: clean; the paper: paper",
        "budget: 10,000 image-steps a run; the paper: 150,077,440 (less than 0.1% of it)",
        "runs: 1; the paper: 5",
    ):
        assert part in found
    assert "split of mnist" not in found
    assert "metric" not in found
    balanced = [replace(row, quality_metric="balanced_accuracy") for row in own]
    assert "metric: balanced accuracy; the paper: accuracy" in reference.differences(balanced, "characters")


def test_ours_and_theirs_side_by_side() -> None:
    own = [
        *rows("full", [[0.5, 0.7]], ("mnist", "svhn")),
        *rows("scale_1", [[0.9, 0.9]], ("mnist", "svhn")),
        *rows("mine", [[0.1, 0.2]], ("mnist", "svhn")),
    ]
    text = "\n".join(reference.section(own, "characters"))
    assert "| FULL | 60.00 / 82.20 | 60.00 / 81.46 ± 0.40 | 50.00 / 98.20 | 0.001 / 1.53 | 0.020 / 4.91 |" in text
    assert "| SCALE_1 | 90.00 / 92.98 | 90.00 / 91.41 ± 1.06 | 90.00 / 98.60 |" in text
    assert "| FULL | 50.0 / 98.2 |" in text
    assert "| SCALE_1 | 91.0 / 98.4 |" in text  # validation
    assert "Not in the paper's table: MINE." in text
    assert "over the same: mnist." in text
    assert "No method of this suite" in "\n".join(reference.section(rows("mine", [[0.1, 0.2]]), "decathlon"))


@pytest.mark.parametrize("options", [{"reference": "papr"}, {"reference": "paper", "suite": "builtin"}])
def test_an_unusable_reference_is_refused(options: dict[str, Any]) -> None:
    from munet.errors import SuiteError
    from munet.suites.benchmark import Options, read

    with pytest.raises(SuiteError, match=r"--reference=papr: Did you mean 'paper'|the suite is none of the paper's"):
        read(Options(**{"suite": "characters", "workdir": "x", **options}))
