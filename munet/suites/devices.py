"""Which devices each worker of a suite may use: disjoint sets of GPUs or of processor cores; on TPU all of them.

Workers that share cores wait for each other's threads inside every matrix product: two workers with a core each did 1.3
times the steps of one with both (Ti/16 with 3 blocks, batch 64).
"""

from __future__ import annotations

import os
import subprocess
import sys

from munet.errors import UserError

_ASK = "import jax; devices = jax.devices(); print(devices[0].platform, len(devices))"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_CORES = "MUNET_WORKER_CORES"  # numbers with commas; empty or missing: all that our process may use


def places(workers: int) -> list[dict[str, str]]:
    """For each worker what its environment has more than ours.

    Args:
      workers: how many; 0: one for each GPU, else one.

    Raises:
      UserError: more workers than there are GPUs, or TPUs for more than one.
    """
    if workers < 0:
        raise UserError(f"--workers={workers}: expected 0 (one for each GPU, else one) or more.")
    platform, count = _devices()
    if platform == "cpu":
        shares = _share_cores(max(workers, 1))
        return [{_CORES: ",".join(map(str, cores))} if cores else {} for cores in shares]
    if platform != "gpu":
        if workers > 1:
            raise UserError(f"--workers={workers}: on {platform} a run uses all {count} devices; leave --workers out.")
        return [{}]
    if workers > count:
        raise UserError(f"--workers={workers}, but JAX sees {count} GPU(s): give at most {count}, or 0 for one each.")
    chosen = workers or count
    ids = os.environ.get(_VISIBLE, "").split(",") if os.environ.get(_VISIBLE) else [str(id) for id in range(count)]
    return [{_VISIBLE: ",".join(ids[index::chosen])} for index in range(chosen)]


def keep_to_own_cores() -> None:
    """Called by a worker before it loads JAX, whose thread pool is as large as the number of cores it finds then."""
    if cores := os.environ.get(_CORES):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def _share_cores(workers: int) -> list[list[int]]:
    """As many cores for each worker, so that all runs are of one layout; none are named where all are one's."""
    if workers == 1 or not hasattr(os, "sched_getaffinity"):  # not on macOS
        return [[] for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // workers
    if not each:  # more workers than cores: they share all
        return [[] for _ in range(workers)]
    return [cores[index * each : (index + 1) * each] for index in range(workers)]


def _devices() -> tuple[str, int]:
    """Platform and number of the devices that JAX sees, asked in another process: who asks takes a GPU's memory."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return "cpu", 1
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True)
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"JAX finds no usable device: {last}")
    platform, count = asked.stdout.split()[-2:]
    return platform, int(count)
