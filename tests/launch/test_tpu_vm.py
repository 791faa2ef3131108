"""`launch/tpu_vm.sh` against a stand-in for gcloud that preempts and fails: the run ends whole, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch import machine

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "launch" / "tpu_vm.sh"
EXPECTED = Path(__file__).parent / "expected"
SETTINGS = {
    "NAME": "munet-test",
    "PROJECT": "project-1234",
    "ZONE": "europe-west4-b",
    "ACCELERATOR": "v5litepod-8",
    "SPOT": "yes",
    "WORKDIR": "gs://some-bucket/runs/test",
    "CACHE_DIR": "gs://some-bucket/cache",
    "ARGUMENTS": "--config=characters '--config.notify=echo \"$MUNET_TEXT\"' --config.seed=1",
    "HOURS": "2",
}


class Cloud:
    """The stand-in's folder, and the script run against it."""

    def __init__(self, folder: Path, code: str = ""):
        self.folder = folder
        machine.make(folder, code=code)
        gcloud = folder / "bin" / "gcloud"
        stand_in = Path(__file__).parent / "gcloud_stand_in.py"
        gcloud.write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" -S "{stand_in}" "$@"\n')
        gcloud.chmod(0o755)
        self.write()

    def write(self, **changed: str) -> None:
        """The settings file."""
        lines = [f"{name}={value}" for name, value in {**SETTINGS, **changed}.items()]
        (self.folder / "settings").write_text("# comment\n\n" + "\n".join(lines) + "\n")

    def run(self, *arguments: str, **plan: object) -> subprocess.CompletedProcess[str]:
        """The script; `plan` as the stand-in reads it."""
        (self.folder / "plan.json").write_text(json.dumps(plan))
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CLOUD": str(self.folder),
            "MUNET_POLL_SECONDS": "0.05",
            "MUNET_RETRY_SECONDS": "0.05",
        }
        command = [str(SCRIPT), *arguments, f"--settings={self.folder / 'settings'}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=self.folder)

    @property
    def calls(self) -> list[str]:
        """What gcloud was asked, in order."""
        return (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []

    @property
    def machines(self) -> int:
        """How many there ever were."""
        return len((self.folder / "machines").read_text().splitlines())

    def assert_complete(self, done: subprocess.CompletedProcess[str]) -> None:
        """The run has all its steps, and nothing is left that costs."""
        told = done.stdout + done.stderr
        assert done.returncode == 0, told
        assert len(list((self.folder / "bucket" / "some-bucket" / "runs" / "test").iterdir())) == 6
        assert not (self.folder / "request").exists(), told
        assert not (self.folder / "home").exists()
        assert "munet-test is gone: nothing costs any more." in done.stderr
        assert "all 6 steps" in done.stdout


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def test_a_run_from_nothing_to_nothing(cloud: Cloud) -> None:
    done = cloud.run("run")
    cloud.assert_complete(done)
    assert cloud.machines == 1
    assert "8 chip-hours of v5litepod" in done.stderr
    assert "costs until: ./launch/tpu_vm.sh down" in done.stderr
    # Quotes and dollars of ARGUMENTS arrive as they were written.
    assert "evolve evolve --workdir=gs://some-bucket/runs/test --config=characters" in done.stdout
    assert '--config.notify=echo "$MUNET_TEXT" --config.seed=1' in done.stdout
    assert (cloud.folder / "munet-test.log").read_text() == done.stdout


def test_every_call_may_fail_and_every_moment_be_the_last(tmp_path: Path) -> None:
    """Each call fails once, before or after it did its work, and the machine is taken away at random moments."""
    drill(tmp_path, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 25))
def test_it_survives_whatever_happens(tmp_path: Path, seed: int) -> None:
    drill(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fail_before", "fail_after", "preempt"])
@pytest.mark.parametrize("call", range(1, 16))
def test_it_survives_it_at_each_call(tmp_path: Path, kind: str, call: int) -> None:
    cloud = Cloud(tmp_path)
    cloud.assert_complete(cloud.run("run", **{kind: [call]}))


def drill(folder: Path, seed: int) -> None:
    draw, cloud = random.Random(seed), Cloud(folder)
    calls = range(1, 60)
    plan = {kind: [call for call in calls if draw.random() < 0.15] for kind in ("fail_before", "fail_after")}
    plan["preempt"] = [call for call in range(4, 40) if draw.random() < 0.1]
    done = cloud.run("run", **plan, waits=draw.randrange(3))
    cloud.assert_complete(done)
    if seed == 0:
        assert cloud.machines > 1, "the drill took no machine away"


def test_an_input_that_cannot_be_used_ends_the_machine_too(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, code="2")
    done = cloud.run("run")
    assert done.returncode == 2
    assert "The run cannot begin" in done.stderr
    assert not (tmp_path / "request").exists()
    cloud.write(WHEN_DONE="keep")
    done = cloud.run("run")
    assert done.returncode == 2
    assert "AND COSTS, until: ./launch/tpu_vm.sh down" in done.stderr
    assert (tmp_path / "request").read_text() == "ACTIVE"
    machine.make(tmp_path)  # mended
    (tmp_path / "home" / "munet" / ".venv" / "bin" / "munet").write_text((tmp_path / "munet-program").read_text())
    done = cloud.run("run")
    assert done.returncode == 0, done.stderr
    assert cloud.run("down").returncode == 0
    assert not (tmp_path / "request").exists()


def test_a_request_that_is_refused_is_given_up(cloud: Cloud) -> None:
    done = cloud.run("run", refused=1, waits=0)
    assert done.returncode == 1
    assert "The request failed 5 times, without a machine: quota, zone, kind?" in done.stderr
    assert not (cloud.folder / "request").exists()


def test_up_status_stop_down(cloud: Cloud) -> None:
    assert cloud.run("up").returncode == 0
    assert (cloud.folder / "request").read_text() == "ACTIVE"
    status = cloud.run("status")
    assert "munet-test ACTIVE" in status.stdout
    assert "no run has ended here" in cloud.run("stop").stdout
    assert cloud.run("down").returncode == 0
    assert cloud.run("down").returncode == 0  # nothing is there: that is what is wanted
    assert "Listed 0 items." in cloud.run("status").stdout


def test_down_looks_for_a_machine_that_its_request_has_left_behind(cloud: Cloud) -> None:
    (cloud.folder / "orphan").write_text("munet-test\n")
    done = cloud.run("down")
    assert done.returncode == 0, done.stderr
    assert "tpu-vm delete" in cloud.calls
    assert not (cloud.folder / "orphan").exists()


def test_a_google_that_does_not_answer_is_given_up_before_there_is_a_machine(cloud: Cloud) -> None:
    done = cloud.run("run", fail_before=list(range(1, 1000)))
    assert done.returncode == 1
    assert "Google does not answer" in done.stderr
    assert "may still be there, AND COST" in done.stderr


def test_nothing_is_asked_for_before_the_settings_are_right(cloud: Cloud) -> None:
    cloud.write(
        NAME="Munet!", ZONE="europe", ACCELERATOR="v5litepod-16", WORKDIR="/disk/run", SPOT="maybe", HOURS="long",
        ARGUMENTS="--config.root=/data/Ti_16.npz", REVISON="main",
    )  # fmt: skip
    done = cloud.run("run")
    assert done.returncode == 2
    for words in (
        "there is no setting REVISON",
        "NAME=Munet!: expected",
        "ZONE=europe: expected",
        "ACCELERATOR=v5litepod-16 has no or several hosts",
        "WORKDIR=/disk/run: expected gs://",
        "SPOT=maybe",
        "HOURS=long",
        "say which --config",
        "names a path on this machine's disk",
    ):
        assert words in done.stderr, words
    assert cloud.calls == []
    cloud.write(ACCELERATOR="tpu7x-8")
    assert "the Cloud TPU API does not serve TPU7x" in cloud.run("up").stderr
    assert "there is no 'upp'".lower() in cloud.run("upp").stderr.lower()


@pytest.mark.parametrize("task", ["up", "run", "logs", "status", "stop", "down"])
def test_a_dry_run_prints_every_command_and_gives_none(cloud: Cloud, task: str) -> None:
    done = cloud.run(task, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert cloud.calls == []
    assert done.stdout == (EXPECTED / f"tpu_vm_{task}.txt").read_text()


def test_a_clone_instead_of_a_copy(cloud: Cloud) -> None:
    cloud.write(REPOSITORY="https://example.org/munet.git", REVISION="v1.0", SPOT="no", VALID_FOR="6h")
    told = cloud.run("run", "--dry_run").stdout
    assert "git clone -q https://example.org/munet.git munet" in told.replace("\\", "")
    assert "git checkout -q v1.0" in told.replace("\\", "")
    assert "--spot" not in told
    assert "--valid-until-duration=6h" in told
    assert "scp" not in told


def test_the_example_is_whole() -> None:
    text = (ROOT / "launch" / "tpu_vm.settings.example").read_text()
    given = {line.partition("=")[0] for line in text.splitlines() if line and not line.startswith("#")}
    known = (ROOT / "launch" / "tpu_settings.sh").read_text().partition("SETTINGS=(")[2].partition(")")[0].split()
    assert given == set(known)
