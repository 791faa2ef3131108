from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from munet import system
from munet.data.tasks import load_task
from munet.errors import UserError
from munet.report.verify import remeasure, verify
from munet.types import Quality
from tests.report.stored_run import write_run

URI = "builtin:digits"


def test_test_accuracy_measured_again_is_that_of_prediction(tmp_path: Path) -> None:
    task = load_task(URI, cache_dir="off")
    write_run(tmp_path, tasks=(task.info,), num_blocks=1)
    opened = system.open(str(tmp_path))
    with task.testing():
        split = task.split("test")
    predicted = opened.predict("digits", split.images).indices
    expected = Quality(int((predicted == split.labels).sum()), len(split.labels))
    assert remeasure(cache_dir="off")(opened, "digits") == expected
    (problem,) = verify(str(tmp_path), remeasure(cache_dir="off")).problems  # the simulation's is invented
    assert f"gets {expected.correct} of {expected.counted} test images right" in problem.text


def test_other_data_than_the_runs_is_refused(tmp_path: Path) -> None:
    info = replace(load_task(URI, cache_dir="off").info, fingerprint="0" * 64)
    write_run(tmp_path, tasks=(info,), num_blocks=1)
    with pytest.raises(UserError, match="is not the data that the run used"):
        remeasure(cache_dir="off")(system.open(str(tmp_path)), "digits")
