"""A layer stored as what it adds to another one: a product of two thin matrices for each matrix.

A kernel W that was trained from W_base is stored as U [rows, rank] and V [rank, columns], the first singular vectors of
W - W_base with the root of their singular values in each; biases and scales are stored as they are. Kernels of more
than two axes are matrices whose rows are their first axes; U keeps those, V the others, so that the shapes of the layer
follow from what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Float

from munet.types import COLUMNS, ROWS

Arrays = Mapping[str, np.ndarray]


class Update:
    """What one layer adds to another of the same shapes.

    Args:
      arrays: the layer, by path.
      base: the other one.
    """

    def __init__(self, arrays: Arrays, base: Arrays):
        self._arrays, self._base = arrays, base

    def num_params(self, rank: int) -> int:
        """How many numbers `stored` has; known without any decomposition."""
        return sum(
            rank * sum(_sides(array.shape)) if _is_worth_it(array.shape, rank) else array.size
            for array in self._arrays.values()
        )

    def stored(self, rank: int) -> dict[str, np.ndarray]:
        """The arrays to store: two factors of every matrix that they make smaller, all else as it is."""
        stored: dict[str, np.ndarray] = {}
        for path, array in self._arrays.items():
            if not _is_worth_it(array.shape, rank):
                stored[path] = array
                continue
            u, s, v = self._decomposed[path]
            root, axes = np.sqrt(s[:rank]), _num_row_axes(array.shape)
            stored[path + ROWS] = _like(array, (u[:, :rank] * root).reshape(*array.shape[:axes], rank))
            stored[path + COLUMNS] = _like(array, (root[:, None] * v[:rank]).reshape(rank, *array.shape[axes:]))
        return {path: stored[path] for path in sorted(stored)}

    @cached_property
    def _decomposed(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of every matrix; the same for all ranks."""
        return {
            path: np.linalg.svd(
                (array.astype(np.float64) - self._base[path]).reshape(_sides(array.shape)), full_matrices=False
            )
            for path, array in self._arrays.items()
            if _is_worth_it(array.shape, 1)
        }


def materialised(stored: Arrays, base: Arrays) -> dict[str, np.ndarray]:
    """The layer that is stored, whole: where there are factors, the base's matrix plus their product.

    Args:
      stored: factors, and arrays that are stored as they are.
      base: the base's arrays; only those are looked at of which there are factors.
    """
    layer: dict[str, np.ndarray] = {}
    for path, array in stored.items():
        if path.endswith(ROWS):
            matrix = path.removesuffix(ROWS)
            layer[matrix] = _plus_product(base[matrix], array, stored[matrix + COLUMNS])
        elif not path.endswith(COLUMNS):
            layer[path] = array
    for array in layer.values():
        array.flags.writeable = False
    return {path: layer[path] for path in sorted(layer)}


def _plus_product(
    base: Float[np.ndarray, "..."], rows: Float[np.ndarray, "*rows rank"], columns: Float[np.ndarray, "rank *columns"]
) -> Float[np.ndarray, "..."]:
    """Summed up in a fixed order, one rank after the other: what a BLAS gives depends on its version and processor."""
    rank = columns.shape[0]
    u, v = rows.reshape(-1, rank).astype(np.float64), columns.reshape(rank, -1).astype(np.float64)
    total = np.zeros((len(u), v.size // rank))
    for column, row in zip(u.T, v, strict=True):
        total += np.multiply.outer(column, row)
    return _like(base, base.astype(np.float64) + total.reshape(base.shape))


def _num_row_axes(shape: tuple[int, ...]) -> int:
    """How many of the first axes are the rows: as square a matrix as there is, for its factors are the smallest."""
    return max(range(1, len(shape)), key=lambda axes: min(math.prod(shape[:axes]), math.prod(shape[axes:])))


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns."""
    axes = _num_row_axes(shape)
    return math.prod(shape[:axes]), math.prod(shape[axes:])


def _is_worth_it(shape: tuple[int, ...], rank: int) -> bool:
    return len(shape) > 1 and rank * sum(_sides(shape)) < math.prod(shape)


def _like(array: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=array.dtype)
