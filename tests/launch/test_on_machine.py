"""`launch/on_machine.sh` on a stand-in machine: installs, goes on after failures, saves on a notice or a signal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.launch import machine

ROOT = Path(__file__).parents[2]
WORKDIR = "--workdir=gs://some-bucket/run"
# The run fails so many times before it does its work; `curl` answers as Google's metadata server does.
FLAKY = """#!/usr/bin/env bash
case "$1" in
  devices) echo "devices $*"; exit {devices} ;;
  status) echo '{{"complete": {complete}}}' ;;
  evolve)
    trap 'echo saved; exit 143' TERM
    echo x >>"{log}"
    echo "evolve $*"
    (( $(wc -l <"{log}") > {failures} )) || exit 1
    {work} ;;
esac
"""
METADATA = """#!/usr/bin/env bash
[[ -e "{folder}/metadata" ]] || exit 6
case "${{@: -1}}" in
  */instance/preempted) cat "{folder}/metadata" ;;
  */instance/maintenance-event) echo NONE ;;
esac
"""


class Machine:
    """A checkout's launch folder, with a stand-in for everything that it calls."""

    def __init__(self, folder: Path, *, failures: int = 0, complete: bool = True, devices: int = 0, work: str = ":"):
        self.folder = folder
        munet = FLAKY.format(
            log=folder / "tries", failures=failures, complete=str(complete).lower(), devices=devices, work=work
        )
        machine.make(folder, program=munet)
        shutil.copytree(ROOT / "launch", folder / "munet" / "launch")
        for name in ("requirements.txt", "setup.py", "pyproject.toml"):
            (folder / "munet" / name).write_text("")
        (folder / "bin" / "curl").write_text(METADATA.format(folder=folder))
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "CLOUD": str(folder),
            "MUNET_RETRY_SECONDS": "0.01",
            "MUNET_NOTICE_SECONDS": "0.05",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the script."""
        command = [str(self.folder / "munet" / "launch" / "on_machine.sh"), *arguments]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Its exit code, and what it said."""
        process = self.start(*arguments)
        told, _ = process.communicate(timeout=120)
        return process.returncode, told

    @property
    def tries(self) -> int:
        """How often `munet evolve` was started."""
        return len((self.folder / "tries").read_text().splitlines()) if (self.folder / "tries").exists() else 0


def test_it_installs_says_what_there_is_and_runs(tmp_path: Path) -> None:
    one = Machine(tmp_path)
    code, told = one.run(WORKDIR, "--config=characters", "--config.seed=1")
    assert code == 0, told
    assert "Installing the extras gcs" in told
    assert "devices devices --config=characters --config.seed=1\n" in told
    assert f"evolve evolve {WORKDIR} --config=characters --config.seed=1\n" in told
    assert "== Complete: gs://some-bucket/run" in told


def test_failures_are_tried_again_and_given_up(tmp_path: Path) -> None:
    one = Machine(tmp_path, failures=3)
    code, told = one.run(WORKDIR)
    assert (code, one.tries) == (0, 4), told
    assert told.count("again in 0.01 s") == 3


def test_what_always_fails_does_not_cost_for_ever(tmp_path: Path) -> None:
    one = Machine(tmp_path, failures=99)
    code, told = one.run(WORKDIR)
    assert (code, one.tries) == (1, 5)
    assert "Failed 5 times in a row (exit code 1)" in told


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    [
        ({"work": "exit 2"}, 2, "evolve"),
        ({"complete": False}, 75, "Stopped by max_hours"),
        ({"devices": 2}, 2, "devices"),
    ],
)
def test_what_ends_it_at_once(tmp_path: Path, options: dict[str, object], expected: int, words: str) -> None:
    one = Machine(tmp_path, **options)  # type: ignore[arg-type]
    code, told = one.run(WORKDIR)
    assert code == expected, told
    assert words in told
    assert one.tries <= 1


@pytest.mark.parametrize("kind", ["signal", "notice"])
def test_the_run_is_saved_when_the_machine_goes(tmp_path: Path, kind: str) -> None:
    (tmp_path / "metadata").write_text("FALSE")
    one = Machine(tmp_path, work="while true; do sleep 0.05; done")
    process = one.start(WORKDIR)
    for _ in range(600):
        if one.tries:
            break
        time.sleep(0.05)
    if kind == "signal":
        process.send_signal(signal.SIGTERM)
    else:
        (tmp_path / "metadata").write_text("TRUE")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert told.count("\nsaved\n") == 1
    assert ("This machine will be taken away" in told) == (kind == "notice")
    assert "the same command goes on" in told


def test_a_work_directory_must_be_named(tmp_path: Path) -> None:
    code, told = Machine(tmp_path).run("--config=demo")
    assert code == 2
    assert "Give --workdir=" in told


def test_a_dry_run_only_says(tmp_path: Path) -> None:
    one = Machine(tmp_path)
    code, told = one.run(WORKDIR, "--config.tasks=a b", "--dry_run")
    assert code == 0
    assert told.splitlines() == [
        "install: requirements.txt, extras gcs",
        r"run: munet devices --config.tasks=a\ b",
        rf"run, until it is complete: munet evolve {WORKDIR} --config.tasks=a\ b",
    ]
    assert one.tries == 0


def test_a_python_that_is_too_old_is_helped(tmp_path: Path) -> None:
    """As on Ubuntu 22.04, the system of TPU VMs: Python 3.10."""
    one = Machine(tmp_path)
    new = (tmp_path / "bin" / "python3.13").rename(tmp_path / "new_python")
    asked = f'*"uv python find"*) echo "{new}" ;; "-m "*) echo "$*" >>"{tmp_path}/uv" ;; *) exit 1 ;;'
    script = f'#!/usr/bin/env bash\ncase "$*" in {asked} esac\n'
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    code, told = one.run(WORKDIR)
    assert code == 0, told
    assert (tmp_path / "uv").read_text().splitlines() == ["-m pip install -qq --user uv", "-m uv python install 3.12"]
