"""Files that are missing because the run has gone on, and those that are missing without a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from munet.errors import CorruptionError, WorkdirError
from munet.system import view
from munet.types import Position
from tests.report.stored_run import write_run


def test_a_view_held_open_while_a_phase_closes_says_that_the_run_went_on(tmp_path: Path) -> None:
    """Not that files are missing; and those that are missing without a reason are still said to be."""
    write_run(tmp_path / "early", until=Position(1, 0, 1), seed=2)
    write_run(tmp_path / "late", until=Position(1, 1, 1), seed=2)
    run = tmp_path / "early"
    opened = view.open(str(run))
    before = opened.models["task0"].id
    for file in sorted((tmp_path / "late" / "journal").iterdir())[len(opened.store.journal) :]:
        shutil.copy(file, run / "journal")
    after = view.open(str(run))
    assert after.models["task0"].id != before, "the case is not in this run: change its seed"
    for id in set(opened.models["task0"].components.values()) - set(after.state.components):
        (run / "components" / f"{id}.safetensors").unlink()
    with pytest.raises(WorkdirError, match=r"has gone on since .*another model of 'task0'.*Open it again"):
        opened.load("task0")
    shutil.copytree(tmp_path / "late" / "components", run / "components", dirs_exist_ok=True)
    after.load("task0")
    (run / "components" / f"{after.models['task0'].components['head']}.safetensors").unlink()
    with pytest.raises(CorruptionError, match="is missing"):
        after.load("task0")
