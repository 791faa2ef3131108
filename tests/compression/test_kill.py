"""A killed `munet compress` leaves nothing at its place, or all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_killed_at_every_system_call(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.compression.killing", str(tmp_path)]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout) >= 15
