"""Which devices each worker of a suite may use: disjoint sets of GPUs; on CPU and TPU all of them."""

from __future__ import annotations

import os
import subprocess
import sys

from munet.errors import UserError

_ASK = "import jax; devices = jax.devices(); print(devices[0].platform, len(devices))"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


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
        return [{}] * max(workers, 1)
    if platform != "gpu":
        if workers > 1:
            raise UserError(f"--workers={workers}: on {platform} a run uses all {count} devices; leave --workers out.")
        return [{}]
    if workers > count:
        raise UserError(f"--workers={workers}, but JAX sees {count} GPU(s): give at most {count}, or 0 for one each.")
    chosen = workers or count
    ids = os.environ.get(_VISIBLE, "").split(",") if os.environ.get(_VISIBLE) else [str(id) for id in range(count)]
    return [{_VISIBLE: ",".join(ids[index::chosen])} for index in range(chosen)]


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
