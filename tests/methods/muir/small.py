"""The smallest MUiR training: six linear tasks of two groups in a file, seconds on one core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from munet.config import MuirConfig, MuirExperiment, TrainRuntime
from munet.config.checks import validate

NUM_TASKS = 6
GROUPS = (0, 0, 0, 1, 1, 1)


def write(path: Path, inputs: int = 8) -> Path:
    """True weights of a group are multiples of one vector; noise on the noisy targets."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(2, inputs))
    weights = np.stack([directions[group] * (1 + at % 3) for at, group in enumerate(GROUPS)])
    arrays: dict[str, Any] = {}
    for name, count in (("train", 9), ("test", 20)):
        x = generator.uniform(-1, 1, (NUM_TASKS, count, inputs))
        y = np.einsum("tei,ti->te", x, weights)
        noisy = y + 0.3 * generator.normal(size=y.shape)
        arrays |= {f"{name}_X": x, f"{name}_Y": y, f"noisy_{name}_Y": noisy}
    np.savez(path, **arrays)
    return path


def mixed(folder: Path, **changes: Any) -> MuirConfig:
    """A text and two linear tasks: a search over the blocks of an LSTM and of two linear models, seconds as well."""
    path = folder / "small.txt"
    if not path.exists():
        path.write_bytes(bytes(np.random.default_rng(0).choice(np.frombuffer(b"abca ", np.uint8), 10_000)))
    plain = config(folder).experiment.tasks[:2]
    settings: dict[str, Any] = {
        "tasks": (f"text:{path}", *plain),
        "groups": (),
        "nets": ("lstm_8", "linear", "linear"),
        "batch_sizes": (5, 6, 6),
        "text_steps": 7,
        "block_columns": 4,
        "context": 2,
        "challengers": 1,
    }
    return config(folder, **{**settings, **changes})


def config(folder: Path, *, checkpoint_minutes: float = 60, **changes: Any) -> MuirConfig:
    """A search of four generations and one final one; who interrupts one asks for saves at every opportunity: 0."""
    path = folder / "small.npz"
    if not path.exists():
        write(path)
    runtime = TrainRuntime(cache_dir=str(folder / "cache"), checkpoint_minutes=checkpoint_minutes, block_rounds=4)
    settings = {
        "tasks": tuple(f"muir:{path}?task={task}" for task in range(NUM_TASKS)),
        "groups": GROUPS,
        "block_rows": 8,
        "challengers": 2,
        "generations": 4,
        "final_generations": 1,
        "generation_rounds": 6,
        "new_module": 0.2,
        "batch_size": 6,
    }
    return validate(MuirConfig(MuirExperiment(**{**settings, **changes}), runtime))
