"""What tests of the Python interface call it with: a task of arrays, and the arguments of a run of moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import munet
from tests import tiny_run

RNG = np.random.default_rng(3)
LABELS = np.arange(60) % 3
IMAGES = (RNG.integers(0, 120, (60, 16, 16)) + 40 * LABELS[:, None, None]).astype(np.uint8)


def arguments(data: Path, **changes: Any) -> dict[str, Any]:
    return {"config": tiny_run.config(data), "num_task_iterations": 1, "num_generations": 1, "quiet": True, **changes}


def birds(images: np.ndarray = IMAGES) -> munet.Task:
    return munet.Task("birds", images, LABELS, class_names=["wren", "tit", "owl"])
