"""`munet status` of a MUiR training: while it runs, at its end, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from munet.errors import UserError
from munet.joint.run import train
from munet.methods.muir.learner import Muir
from munet.report.status import print_status
from tests.methods.muir.small import config


def test_while_it_trains_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    workdir = str(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(Muir, "decide", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config(tmp_path, checkpoint_minutes=0), workdir, lambda _: None)
    print_status(workdir)
    assert capsys.readouterr().out.startswith("in training: 6 rounds of 30, validation loss ")
    train(config(tmp_path), workdir, lambda _: None)
    print_status(workdir)
    assert "the lower the better" in capsys.readouterr().out
    print_status(workdir, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["complete"], found["rounds"], found["num_rounds"]) == ("muir", True, 30, 30)
    assert [one["seed"] for one in found["replicas"]] == [0]
    with pytest.raises(
        UserError, match=r"--task, --wide: this is of evolved systems; `munet status .* of this MUiR training"
    ):
        print_status(workdir, task="small/0", wide=True)
