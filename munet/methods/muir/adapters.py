"""Parallel adapters: a private diagonal beside every shared block."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from munet.config.muir import MuirExperiment


def num_private(experiment: MuirExperiment) -> int:
    """Numbers of a block's adapter: as many as its diagonal has; 0: there are none."""
    return min(experiment.block_rows, experiment.block_columns) if experiment.adapters else 0


def first(experiment: MuirExperiment, num_locations: int) -> Float[np.ndarray, "locations diagonal"] | tuple[()]:
    """Adapters at the start: zeros, so that models begin as without any; () where there are none."""
    count = num_private(experiment)
    return np.zeros((num_locations, count), np.float32) if count else ()


def with_adapters(
    blocks: Float[Array | np.ndarray, "locations m n"], adapters: Float[Array | np.ndarray, "locations diagonal"]
) -> Any:
    """Every block with its adapter added to its diagonal: (locations, m, n), an array of NumPy or of JAX as these are.

    Args:
      blocks: as modules make them.
      adapters: of each block as many numbers as the shorter of its sides has.
    """
    m, n = blocks.shape[1:]
    # Not a scatter, which is slow, nor a matrix product, which GPUs round: each number beside its row or its column.
    beside = adapters[:, :, None] if m <= n else adapters[:, None, :]
    return blocks + beside * np.eye(m, n, dtype=np.float32)
