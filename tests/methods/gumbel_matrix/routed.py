"""Routed trainings of seconds: two small tasks of images, or two pairs of sines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from munet.config import RoutingConfig, RoutingExperiment, TrainRuntime
from munet.config.checks import validate


def config(folder: Path, **changes: Any) -> RoutingConfig:
    """The two tasks of `tests.joint.tiny`, in `folder`."""
    settings = {
        "tasks": (f"npz:{folder}/first.npz", f"npz:{folder}/second.npz"),
        "network": "omniglot_small",
        "image_size": 8,
        "p_init": (0.9,),
        "num_rounds": 6,
        "validate_every": 4,
        "batch_size": 8,
        "learning_rate": 2e-4,
    }
    return _config(folder, settings | changes)


def root(folder: Path, **changes: Any) -> RoutingConfig:
    """The same two tasks by two versions of the demo root's first block."""
    settings = {"network": "vit", "num_blocks": 1, "versions": 2, "image_size": 16, "is_grey": False}
    # The bias of keys has no gradient but rounding errors, which Adam makes steps of a full learning rate of.
    settings |= {"learning_rate": 1e-6}
    return config(folder, **settings | changes)


def sines(folder: Path, **changes: Any) -> RoutingConfig:
    """Two pairs of tasks of sines."""
    settings = {"made": "two_pairs", "network": "sines", "num_rounds": 12, "batch_size": 4, "learning_rate": 0.01}
    return _config(folder, settings | changes)


def _config(folder: Path, settings: dict[str, Any]) -> RoutingConfig:
    runtime = TrainRuntime(cache_dir=str(folder / "cache"), checkpoint_minutes=60, block_rounds=3)
    return validate(RoutingConfig(RoutingExperiment(**settings), runtime))
