"""The smallest suite: full fine-tuning and muNet on the built-in digits and a task of noise of `tests/tiny_run.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import tiny_run

SUITE = """
from munet.suites.suite import Method, Suite

SETTINGS = dict(
    root="{data}/root.npz", num_blocks=1, num_task_iterations=1, num_generations=2, children_per_generation=2,
    cycles_per_child=1, batch_size=16, max_batches_per_cycle=2, min_batches_per_cycle=0, max_seed_parents=1,
    cache_dir="{data}/cache", block_megabytes=1, mutation_probability=0.3, checkpoint_minutes=0.0,
)
SETTINGS["search_space.image_size"] = (32,)


def get_suite(variant="two"):
    methods = (
        Method("full", "demo:paper", {{"baseline.kind": "full"}}, label="Full fine-tuning"),
        Method("munet", "demo:paper", label="muNet"),
    )
    tasks = ("npz:{data}/left.npz", "builtin:digits")
    return Suite(methods, tasks=tasks, settings=SETTINGS, against="full")
"""


def write(folder: Path) -> Path:
    """Writes data, root and suite file; returns the suite file."""
    data = folder / "data"
    tiny_run.write_data(data)
    path = folder / "tiny.py"
    path.write_text(SUITE.format(data=data))
    return path


def start(suite: str, workdir: Path, *options: str) -> subprocess.Popen[str]:
    """`munet benchmark` in a process of its own."""
    command = [sys.executable, "-m", "munet", "benchmark", f"--suite={suite}", f"--workdir={workdir}", *options]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
