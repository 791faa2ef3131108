"""Parallel adapters: a private diagonal beside every shared block (spec of MUiR, section 8.4, Table 6)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet.config.muir import MuirExperiment
from munet.methods.muir.blocks import Block


def num_private(experiment: MuirExperiment) -> int:
    """Numbers of a block's adapter: as many as its diagonal has; 0: there are none."""
    return min(experiment.block_rows, experiment.block_columns) if experiment.adapters else 0


def first(experiment: MuirExperiment, num_locations: int) -> Float[np.ndarray, "locations diagonal"] | tuple[()]:
    """Adapters at the start: zeros, so that models begin as without any; () where there are none."""
    count = num_private(experiment)
    return np.zeros((num_locations, count), np.float32) if count else ()


def with_adapters(
    blocks: Float[Array | np.ndarray, "locations m n"], adapters: Float[Array | np.ndarray, "locations diagonal"]
) -> Float[Array, "locations m n"]:
    """Every block with its adapter added to its diagonal."""
    _, m, n = blocks.shape
    added = jnp.asarray(adapters) @ _places((m, n)).reshape(-1, m * n)  # a product: scatters are slow
    return jnp.asarray(blocks) + added.reshape(-1, m, n)


def _places(block: Block) -> Float[np.ndarray, "diagonal rows columns"]:
    count = min(block)
    found = np.zeros((count, *block), np.float32)
    found[np.arange(count), np.arange(count), np.arange(count)] = 1
    return found
