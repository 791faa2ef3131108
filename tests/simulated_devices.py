"""Runs Python in a process that believes in several devices, which the processor simulates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def printed(count: int, *arguments: str) -> list[str]:
    """The words that `python ARGUMENTS` prints on so many devices; that it ends well is asserted."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
