"""`munet export --check`: what was changed, what is of another run, and what answers otherwise is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import munet
from munet.export import portable
from munet.export.export import MANIFEST
from tests.export.test_export import run, workdir
from tests.report.stored_run import write_run


def test_a_check_sees_what_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, out = workdir(tmp_path), tmp_path / "out"
    munet.open(str(place)).export("task1", out)
    weights = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert run(f"--workdir={place}", f"--check={out}") == 2
    assert "model.safetensors is missing or not the file that was exported" in capsys.readouterr().out
    (out / "model.safetensors").unlink()
    assert run(f"--workdir={place}", f"--check={out}") == 2
    manifest = json.loads((out / MANIFEST).read_text())
    for changed, message in [
        ({"components": {}}, "with other layers: export it again, or give as --workdir the run"),
        ({"task": "task7"}, "There is no task 'task7'"),
        ({"kind": "onnx"}, "is not what this version of munet writes"),
        ({"files": {"../run/lock": "0"}}, "is not what this version of munet writes"),
    ]:
        (out / MANIFEST).write_text(json.dumps(manifest | changed))
        assert run(f"--workdir={place}", f"--check={out}") == 2
        assert message in capsys.readouterr().err
    (out / MANIFEST).write_text("{")
    assert run(f"--workdir={place}", f"--check={out}") == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_check_is_told_with_which_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "demo")
    assert run("--task=task1", "--output=out") == 0  # as all commands do without --workdir
    assert run("--check=out") == 2
    assert "--check=out: say which run it was exported from, too: --workdir=DIR" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["safetensors", "stablehlo"])
def test_a_check_sees_another_function(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a mistake in the export would make it: all is well but for one layer."""
    place, out = workdir(tmp_path), tmp_path / "out"
    whole = portable.of_task

    def changed(system: Any, task: str) -> Any:
        model = whole(system, task)
        block = model.components["encoderblock_0"]
        block["LayerNorm_0/scale"] = block["LayerNorm_0/scale"] * 1.1
        return model

    with monkeypatch.context() as context:
        context.setattr(portable, "of_task", changed)
        assert run(f"--workdir={place}", "--task=task1", f"--output={out}", f"--format={format}") == 0
    assert run(f"--workdir={place}", f"--check={out}") == 2
    assert "DIFFERS" in capsys.readouterr().out
