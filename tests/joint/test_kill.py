"""A pre-training killed with SIGKILL goes on with the same command and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.joint import tiny


def start(workdir: Path, data: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tests.joint.tiny", str(workdir), str(data)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(workdir: Path, data: Path) -> None:
    process = start(workdir, data)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], float]:
    """Data, the results of a training that nobody killed, and about the seconds that a second one would take."""
    folder = tmp_path_factory.mktemp("undisturbed")
    tiny.write_data(folder / "data")
    started = time.monotonic()
    finish(folder / "run", folder / "data")  # also fills the cache of compiled programs
    seconds = (time.monotonic() - started) / 2
    return folder / "data", tiny.results(folder / "run"), seconds


def kill_at_random(seed: int, times: int, undisturbed: tuple[Path, dict[str, object], float], workdir: Path) -> None:
    data, expected, seconds = undisturbed
    moments = random.Random(seed)
    for _ in range(times):
        process = start(workdir, data)
        time.sleep(moments.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.communicate()
    finish(workdir, data)
    assert tiny.results(workdir) == expected
    assert not [path for path in workdir.rglob("*") if path.name.startswith(".tmp")]
    assert not (workdir / "in_training").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments(undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path) -> None:
    kill_at_random(0, 2, undisturbed, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1, 6))
def test_killed_at_twenty_random_moments(
    seed: int, undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path
) -> None:
    kill_at_random(seed, 4, undisturbed, tmp_path / "run")
