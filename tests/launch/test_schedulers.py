"""The files for GKE, SkyPilot and Slurm: parsed and checked; the Slurm script run with stand-ins for its commands."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ON_MACHINE = """#!/usr/bin/env bash
trap 'echo saved; exit 143' TERM
echo "$$" >"{folder}/pid"
echo "arguments: $*"
if [[ -e "{folder}/long" ]]; then while true; do sleep 0.05; done; fi
exit "$(cat "{folder}/code")"
"""


def parsed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "launch" / name).read_text())
    return found


@pytest.mark.parametrize(
    ("file", "resource", "count", "selector", "extras"),
    [
        ("gke/tpu_job.yaml", "google.com/tpu", 8, "cloud.google.com/gke-tpu-accelerator", "tpu,gcs"),
        ("gke/gpu_job.yaml", "nvidia.com/gpu", 1, "cloud.google.com/gke-accelerator", "cuda,gcs"),
    ],
)
def test_a_job_asks_for_its_devices_and_runs_the_script(
    file: str, resource: str, count: int, selector: str, extras: str
) -> None:
    job = parsed(file)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy asks for it
    assert selector in pod["nodeSelector"]
    (container,) = pod["containers"]
    assert container["image"] == "python:3.12-bookworm"
    assert container["resources"]["limits"][resource] == count
    assert container["resources"]["requests"] == container["resources"]["limits"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["MUNET_EXTRAS"] == extras
    assert environment["WORKDIR"].startswith("gs://")
    assert container["command"] == ["bash", "-c"]
    (script,) = container["args"]
    subprocess.run(["bash", "-n", "-c", script], check=True, timeout=60)
    last = shlex.split(script.splitlines()[-1])
    assert last[:2] == ["exec", "./launch/on_machine.sh"]  # exec: the pod's SIGTERM arrives there
    assert os.access(ROOT / last[1], os.X_OK)
    assert {"--workdir=$WORKDIR", "--config=characters"} <= set(last)
    tolerated = {one["key"] for one in pod["tolerations"]}
    assert tolerated == {resource, "cloud.google.com/gke-spot"}
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [2]}
    assert rules[1] == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def test_the_chips_of_a_job_are_those_of_its_topology() -> None:
    pod = parsed("gke/tpu_job.yaml")["spec"]["template"]["spec"]
    chips = 1
    for side in pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"):
        chips *= int(side)
    assert pod["containers"][0]["resources"]["limits"]["google.com/tpu"] == chips


def test_skypilot_goes_on_after_a_notice() -> None:
    task = parsed("sky.yaml")
    assert task["resources"]["use_spot"] is True
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [75, 143]
    assert task["resources"]["accelerators"]
    assert task["workdir"] == "."
    assert task["envs"]["WORKDIR"].startswith("gs://")
    words = shlex.split(task["run"])
    assert words[0] == "./launch/on_machine.sh"
    assert words[1:] == ["--workdir=$WORKDIR", "$ARGUMENTS"]


class Slurm:
    """A checkout with a stand-in for on_machine.sh, and stand-ins for squeue and scontrol on the path."""

    def __init__(self, folder: Path, left: str = "8:00:00"):
        self.folder = folder
        (folder / "launch").mkdir()
        (folder / "bin").mkdir()
        scripts = {
            folder / "launch" / "on_machine.sh": ON_MACHINE.format(folder=folder),
            folder / "bin" / "squeue": f'#!/usr/bin/env bash\n[[ "$*" == "-h -j 7 -o %L" ]] && echo "{left}"\n',
            folder / "bin" / "scontrol": f'#!/usr/bin/env bash\necho "$*" >>"{folder}/scontrol"\n',
        }
        for path, text in scripts.items():
            path.write_text(text)
            path.chmod(0o755)
        # Slurm runs a copy of the script from its own folder.
        self.script = folder / "slurm_script"
        shutil.copy(ROOT / "launch" / "slurm.sbatch", self.script)

    def start(self, code: int) -> subprocess.Popen[str]:
        (self.folder / "code").write_text(str(code))
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "7",
            "SLURM_SUBMIT_DIR": str(self.folder),
        }
        return subprocess.Popen(
            [self.script, "--config=demo", "--workdir=/scratch/a b"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    def run(self, code: int) -> tuple[int, str]:
        process = self.start(code)
        told, _ = process.communicate(timeout=60)
        return process.returncode, told

    @property
    def requeued(self) -> bool:
        path = self.folder / "scontrol"
        return path.exists() and path.read_text() == "requeue 7\n"


@pytest.mark.parametrize(
    ("left", "hours"), [("8:00:00", 7.833), ("1-02:00:00", 25.833), ("30:00", 0.333), ("10:00", 0.083)]
)
def test_max_hours_comes_from_the_time_limit(tmp_path: Path, left: str, hours: float) -> None:
    code, told = Slurm(tmp_path, left).run(0)
    assert code == 0
    assert told == f"arguments: --config=demo --workdir=/scratch/a b --config.max_hours={hours:.3f}\n"


def test_without_a_limit_there_is_no_max_hours(tmp_path: Path) -> None:
    assert Slurm(tmp_path, "UNLIMITED").run(0)[1] == "arguments: --config=demo --workdir=/scratch/a b\n"


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (2, False), (1, False), (75, True), (143, True)])
def test_what_is_not_complete_goes_back_into_the_queue(tmp_path: Path, code: int, requeued: bool) -> None:
    slurm = Slurm(tmp_path)
    assert slurm.run(code)[0] == (0 if requeued else code)
    assert slurm.requeued == requeued


def test_the_signal_before_the_limit_saves_and_requeues(tmp_path: Path) -> None:
    slurm = Slurm(tmp_path)
    (tmp_path / "long").touch()
    process = slurm.start(0)
    for _ in range(600):
        if (tmp_path / "pid").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # --signal=B:TERM@120: to the batch script alone
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "\nsaved\n" in told
    assert slurm.requeued


def test_the_batch_script_asks_for_a_signal_and_for_requeueing() -> None:
    options = [
        line.removeprefix("#SBATCH ")
        for line in (ROOT / "launch" / "slurm.sbatch").read_text().splitlines()
        if line.startswith("#SBATCH ")
    ]
    assert {"--requeue", "--signal=B:TERM@120", "--gpus=1", "--open-mode=append"} <= set(options)


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck") or Path(sys.executable).parent / "shellcheck"
    scripts = [
        *ROOT.glob("launch/*.sh"), ROOT / "launch" / "slurm.sbatch", *ROOT.glob("benchmarks/*.sh"), ROOT / ".ci" / "run"
    ]  # fmt: skip
    done = subprocess.run(
        [shellcheck, "-x", "-P", "SCRIPTDIR", *scripts], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
