"""The lines under "The morning after" in README do what they say, on a run of the demo's tasks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest

import munet
from munet.cli.main import main
from tests.test_old_runs import ARCHIVE

ROOT = Path(__file__).parents[1]


def _lines() -> list[list[str]]:
    """The words of each command, without its comment."""
    section = (ROOT / "README.md").read_text().split("## The morning after")[1].split("\n## ")[0]
    return [line.split("#")[0].split()[1:] for line in re.findall(r"^    (munet .*)$", section, re.MULTILINE)]


def test_its_lines_work_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "runs").mkdir()
    (tmp_path / "finished").rename(tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path / "cache"))
    lines = _lines()
    assert [line[0] for line in lines] == [
        "status",
        "report",
        "data",
        "predict",
        "export",
        "serve",
        "extend",
        "forget",
        "verify",
    ]
    serve = lines[5]
    commands = [line for line in lines if line is not serve]
    said = {}
    for command in commands:
        assert main(command) == 0, command
        said[command[0]] = capsys.readouterr().out
    assert "digits" in said["status"]
    answers = re.findall(r"test/(\w+)/\S+ +(\w+)", said["predict"])
    assert len(answers) > 100
    assert sum(wanted == found for wanted, found in answers) > 0.4 * len(answers)  # ten classes, a tiny run
    assert "<h1>Report of runs/demo</h1>" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "for_timm" / "README.md").exists()
    assert [*munet.open("runs/demo").models] == ["digits", "glyphs/armenian"]
    assert [*munet.open("runs/grown").models] == ["digits", "mine"]
    assert "2 test accuracies measured again" in said["verify"]
    _serve(serve, Path(next(iter(sorted((tmp_path / "digits" / "test").rglob("*.png"))))))


def _serve(command: list[str], image: Path) -> None:
    """Starts the server of `command`, asks it about an image, and ends it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = [sys.executable, "-m", "munet", *command, "--port=0", "--max_batch=4"]
    with subprocess.Popen(full, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            said = ""
            while "Ready after" not in said:  # before, it answers that programs are being compiled
                line = process.stderr.readline()
                assert line, "the server ended"
                said += line
            url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
            found = httpx.post(
                f"{url}/v1/tasks/digits/predict", content=image.read_bytes(), headers={"Content-Type": "image/png"},
                timeout=120,
            )  # fmt: skip
            assert found.status_code == 200
            assert len(found.json()["predictions"][0]["top"]) == 3
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
