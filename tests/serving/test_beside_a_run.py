"""Whoever reads a run while it is killed and goes on, again and again, sees no error, and writes nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import munet
from munet.cli.main import main
from tests import tiny_run

MOMENTS = ("components:5:after", "journal:2:after", "journal:1:before", "snapshots:1:before", "journal:2:before", "")
NOT_YET = re.compile(r"There is no run in|has no model yet|no task has a model yet|There is no model for")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_readers_of_a_run_that_is_killed_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, workdir, image = tmp_path / "data", tmp_path / "run", tmp_path / "image.png"
    tiny_run.write_data(data, has_bars=True)
    tiny_run.finish(tmp_path / "undisturbed", data)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(image)
    at = f"--workdir={workdir}"
    commands = (
        ["status", at, "--json"],
        ["graph", at, f"--output={tmp_path / 'graph.svg'}"],
        ["predict", at, "--task=left", "--json", str(image)],
        ["predict", at, "--all_tasks", "--json", str(image)],
    )
    outcomes: Counter[str] = Counter()
    rounds = 0
    for moment in MOMENTS:
        process = tiny_run.start(workdir, data, moment)
        while process.poll() is None:
            rounds += 1
            for command in commands:
                code = main(command)
                errors = capsys.readouterr().err
                assert code == 0 or (code == 2 and NOT_YET.search(errors)), (command, code, errors)
                outcomes[f"{command[0]} {'answers' if code == 0 else 'not yet'}"] += 1
        process.communicate()
    print(f"{rounds} rounds: {dict(outcomes)}")
    assert outcomes["status answers"] > 10
    assert outcomes["predict answers"] > 5
    assert tiny_run.results(workdir) == tiny_run.results(tmp_path / "undisturbed")
    files = {str(file.relative_to(workdir)) for file in workdir.rglob("*")}
    before = {str(file.relative_to(tmp_path / "undisturbed")) for file in (tmp_path / "undisturbed").rglob("*")}
    assert {file for file in files if "snapshots" not in file} == {file for file in before if "snapshots" not in file}
    assert set(munet.open(str(workdir)).models) == {"left", "right"}
