"""`launch/environment.sh` with a stand-in for the environment's Python: what pip is asked for, once a set of extras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/usr/bin/env bash
if [[ "$1 $2" == "-m pip" ]]; then
  echo "${{*:3}}" >>"{log}"
  [[ ! -e "{log}.fails" ]] || {{ echo "ERROR: no index" >&2; exit 1; }}
  touch "$(dirname "$0")/munet"; chmod +x "$(dirname "$0")/munet"
  exit 0
fi
exec "{python}" "$@"
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python"
    python.write_text(STAND_IN.format(log=tmp_path / "pip.log", python=sys.executable))
    python.chmod(0o755)
    return tmp_path


def prepare(folder: Path, extras: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Prepares the environment; what pip was called with."""
    log = folder / "pip.log"
    log.write_text("")
    command = f'set -euo pipefail; source "{ROOT}/launch/environment.sh"; prepare_environment "{folder}/env"'
    variables = {"PATH": os.environ["PATH"], **({"MUNET_EXTRAS": extras} if extras else {})}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, env=variables)
    options = "install -qq --disable-pip-version-check "
    return done, [line.removeprefix(options) for line in log.read_text().splitlines()]


def test_without_extras_pins_and_checkout_are_installed_once(environment: Path) -> None:
    done, calls = prepare(environment)
    assert (done.returncode, calls) == (0, [f"-r {ROOT}/requirements.txt", f"--no-deps -e {ROOT}"]), done.stderr
    assert prepare(environment)[1] == []


def test_each_set_of_extras_is_installed_once_inside_the_pins(environment: Path) -> None:
    prepare(environment)
    done, calls = prepare(environment, "cuda")
    assert (done.returncode, calls) == (0, [f"-r {ROOT}/requirements.txt -e {ROOT}[cuda]"]), done.stderr
    assert prepare(environment, "cuda")[1] == []
    assert prepare(environment, "tpu, gcs")[1] == [f"-r {ROOT}/requirements.txt -e {ROOT}[gcs,tpu]"]
    assert prepare(environment, "gcs,tpu")[1] == []  # the same set
    assert prepare(environment)[1] == []


def test_an_installation_that_fails_is_tried_again(environment: Path) -> None:
    prepare(environment)
    fails = environment / "pip.log.fails"
    fails.touch()
    done, _ = prepare(environment, "cuda")
    assert done.returncode == 1
    assert "ERROR: no index" in done.stderr
    assert "The installation failed" in done.stderr
    fails.unlink()
    assert len(prepare(environment, "cuda")[1]) == 1


def test_a_new_requirements_file_is_installed_again(environment: Path) -> None:
    prepare(environment, "cuda")
    stamp = environment / "env" / "munet-installed-requirements.txt-cuda"
    stamp.write_text("of older pins\n")
    assert len(prepare(environment, "cuda")[1]) == 1


@pytest.mark.parametrize(
    ("extras", "message"),
    [("cudda", "there is no extra 'cudda'. Valid: cuda tpu gcs"), ("cuda,tpu", "give cuda or tpu")],
)
def test_extras_that_cannot_be_are_refused_before_anything_is_made(
    extras: str, message: str, environment: Path
) -> None:
    done, calls = prepare(environment, extras)
    assert (done.returncode, calls) == (2, [])
    assert message in done.stderr
