"""A killed run leaves a prefix of its journal, and ends as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def kills(*arguments: str) -> int:
    """Runs `killing.py`, which checks after each kill; the number of kills."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.store.killing", *arguments]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stdout + result.stderr
    return int(result.stdout)


def test_killed_at_every_system_call(tmp_path: Path) -> None:
    assert kills(str(tmp_path), "every") > 50


def test_killed_at_random_moments_while_a_reader_looks_on(tmp_path: Path) -> None:
    assert kills(str(tmp_path), "random", "5") >= 1


@pytest.mark.slow
def test_killed_at_many_random_moments(tmp_path: Path) -> None:
    assert kills(str(tmp_path), "random", "30") >= 10
