"""A GKE Job and a Slurm job as their controllers run them, taken away at random: the run ends whole, nobody by hand.

The controllers are stand-ins: of Kubernetes the Job's own policy (what is made again, what fails it), of Slurm `sbatch`
with its requeueing. What they run is real: the pod's script, `slurm.sbatch` and `on_machine.sh`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.launch import machine

ROOT = Path(__file__).parents[2]
STEPS = 8


class Cluster:
    """Stand-ins for what a node has, a bucket that outlives it, and a checkout that can be cloned."""

    def __init__(self, folder: Path, code: str = ""):
        self.folder = folder
        machine.make(folder, steps=STEPS, code=code)
        (folder / "checkout").mkdir()
        shutil.copytree(ROOT / "launch", folder / "checkout" / "launch")
        for name in ("requirements.txt", "setup.py", "pyproject.toml"):
            (folder / "checkout" / name).write_text("")
        git = f'#!/usr/bin/env bash\n[[ "$1" != clone ]] || cp -r "{folder / "checkout"}" "$4"\n'
        scontrol = f'#!/usr/bin/env bash\necho "$*" >>"{folder / "requeued"}"\n'
        for name, text in {"git": git, "scontrol": scontrol, "squeue": "#!/bin/sh\necho 8:00:00\n"}.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "CLOUD": str(folder),
            "TMPDIR": str(folder),
            "MUNET_RETRY_SECONDS": "0.05",
        }

    def run(self, command: Sequence[str | Path], until: int | None, **environment: str) -> int:
        """A pod or a job, to which SIGTERM comes when its run has so many steps; its exit code."""
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**self.environment, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder / "checkout",
        )
        while until is not None and process.poll() is None:
            if self.steps >= until:
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.005)
        return process.wait(60)

    @property
    def steps(self) -> int:
        """That the run in the bucket has."""
        return sum(1 for path in (self.folder / "bucket").rglob("*") if path.is_file())


def kubernetes(cluster: Cluster, job: dict[str, Any], preempted: Sequence[int]) -> tuple[str, int]:
    """Runs a Job as its policy says, its pods taken away at these steps; how it ended, and how many pods there were."""
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    rules = spec["podFailurePolicy"]["rules"]
    fatal = {code for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])}
    failures = 0
    for pods in range(1, 50):
        until = preempted[pods - 1] if pods <= len(preempted) else None
        code = cluster.run([*container["command"], *container["args"]], until, **environment)
        if code == 0:
            return "Complete", pods
        if code in fatal:
            return "Failed", pods
        failures += until is None  # DisruptionTarget is ignored
        if failures > spec["backoffLimit"]:
            return "Failed", pods
    return "never", 50


@pytest.mark.parametrize("file", ["tpu_job.yaml", "gpu_job.yaml"])
def test_a_job_whose_nodes_are_taken_away_completes(tmp_path: Path, file: str) -> None:
    cluster = Cluster(tmp_path)
    job = yaml.safe_load((ROOT / "launch" / "gke" / file).read_text())
    draw = random.Random(file)
    preempted = sorted(draw.randrange(STEPS // 2) for _ in range(3))
    assert kubernetes(cluster, job, preempted) == ("Complete", 4)
    assert cluster.steps == STEPS


def test_a_job_whose_input_cannot_be_used_fails_at_once(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "launch" / "gke" / "tpu_job.yaml").read_text())
    assert kubernetes(Cluster(tmp_path, code="2"), job, []) == ("Failed", 1)


def test_a_slurm_job_that_is_preempted_goes_back_until_it_is_complete(tmp_path: Path) -> None:
    cluster, script = Cluster(tmp_path), tmp_path / "slurm_script"
    shutil.copy(ROOT / "launch" / "slurm.sbatch", script)  # as Slurm does
    requeued, code, starts, again = tmp_path / "requeued", -1, 0, True
    requeued.touch()
    while again and starts < 10:
        before, until = requeued.read_text(), [2, 5, None][min(starts, 2)]
        command = [str(script), "--config=demo", "--workdir=gs://bucket/run"]
        code = cluster.run(command, until, SLURM_JOB_ID="7", SLURM_SUBMIT_DIR=str(tmp_path / "checkout"))
        starts, again = starts + 1, requeued.read_text() != before
    assert (code, starts, cluster.steps) == (0, 3, STEPS)
    assert requeued.read_text() == "requeue 7\n" * 2
