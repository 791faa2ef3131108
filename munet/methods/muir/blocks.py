"""The reparameterisation: which leaves of a model are generated, and how they are cut into blocks.

Every generated leaf is one or more matrices (a tap of a convolution, a gate of an LSTM, a kernel of a transformer),
padded up to a multiple of the block's size. A block is a location, which a hypermodule makes (`hypermodules.py`). Which
block lies where is fixed by the plan alone, so training sees one gather, one contraction, and slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

LeafPath = str  # "encoder/kernel"
Block = tuple[int, int]  # rows (inputs) and columns (outputs): m x n


@dataclass(frozen=True)
class Matrices:
    """A generated leaf, as matrices of equal size.

    Attributes:
      path: of the leaf.
      shape: of the leaf, which the matrices fill in this order.
      count: how many matrices: taps of a convolution, gates of an LSTM.
      rows, columns: of each: inputs and outputs.
      deviation: of the weights at the start.
      limit: between which and its negative PyTorch's initial values are uniform; 0: the same normal as here.
    """

    path: LeafPath
    shape: tuple[int, ...]
    count: int
    rows: int
    columns: int
    deviation: float
    limit: float = 0.0

    def grid(self, block: Block) -> tuple[int, int]:
        """Blocks of a matrix, down and across; those at the edges may overhang."""
        return -(-self.rows // block[0]), -(-self.columns // block[1])

    def num_blocks(self, block: Block) -> int:
        """Blocks of the leaf."""
        down, across = self.grid(block)
        return self.count * down * across

    def unpack(self, blocks: Float[Array, "b m n"], block: Block) -> Array:
        """The leaf that blocks make; what hangs over its edges is cut off."""
        (down, across), (m, n) = self.grid(block), block
        whole = blocks.reshape(self.count, down, across, m, n).swapaxes(2, 3)
        whole = whole.reshape(self.count, down * m, across * n)
        return whole[:, : self.rows, : self.columns].reshape(self.shape)

    def pack(self, leaf: Any, block: Block) -> Float[np.ndarray, "b m n"]:
        """The blocks of a leaf, zeros where they hang over its edges."""
        (down, across), (m, n) = self.grid(block), block
        whole = np.zeros((self.count, down * m, across * n), np.asarray(leaf).dtype)
        whole[:, : self.rows, : self.columns] = np.asarray(leaf).reshape(self.count, self.rows, self.columns)
        cut = whole.reshape(self.count, down, m, across, n).swapaxes(2, 3)
        return cut.reshape(-1, m, n)


Rule = Callable[[LeafPath, tuple[int, ...]], Matrices | None]


def dense(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """A kernel (inputs, outputs)."""
    return Matrices(path, shape, 1, shape[0], shape[1], math.sqrt(2 / shape[0]), math.sqrt(1 / shape[0]))


def convolution(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """A kernel (*taps, inputs, outputs), one- or two-dimensional: every tap is a matrix."""
    taps = math.prod(shape[:-2])
    inputs = taps * shape[-2]
    return Matrices(path, shape, taps, shape[-2], shape[-1], math.sqrt(2 / inputs), math.sqrt(1 / inputs))


def gates(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """Kernels of an LSTM (gates, inputs, units): every gate is a matrix."""
    deviation = math.sqrt(1 / shape[2])
    return Matrices(path, shape, shape[0], shape[1], shape[2], deviation, deviation)


def into_heads(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """A query, key or value kernel (width, heads, size of a head)."""
    return Matrices(path, shape, 1, shape[0], shape[1] * shape[2], math.sqrt(2 / shape[0]))


def out_of_heads(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """An attention's output kernel (heads, size of a head, width)."""
    rows = shape[0] * shape[1]
    return Matrices(path, shape, 1, rows, shape[2], math.sqrt(2 / rows))


def matrices(leaves: Mapping[LeafPath, tuple[int, ...]], rule: Rule) -> tuple[Matrices, ...]:
    """The leaves of a model that a rule says are generated, in the order in which they are given.

    Args:
      leaves: shapes by path.
      rule: what a leaf is; None: not generated.
    """
    found = (rule(path, shape) for path, shape in leaves.items())
    return tuple(one for one in found if one is not None)


@dataclass(frozen=True)
class Part:
    """Models of one architecture whose blocks lie one after the other.

    Attributes:
      tasks: numbers of the tasks.
      matrices: generated leaves of each.
    """

    tasks: tuple[int, ...]
    matrices: tuple[Matrices, ...]


class Plan:
    """Where every block of every model lies.

    Args:
      block: size of all blocks.
      parts: in order.
    """

    def __init__(self, block: Block, parts: Sequence[Part]):
        self.block, self.parts = block, tuple(parts)
        task_of: list[int] = []
        deviations: list[float] = []
        limits: list[float] = []
        self._first: list[int] = []
        for part in self.parts:
            self._first.append(len(task_of))
            for task in part.tasks:
                for one in part.matrices:
                    task_of += [task] * one.num_blocks(block)
                    deviations += [one.deviation] * one.num_blocks(block)
                    limits += [one.limit] * one.num_blocks(block)
        self.task_of = np.array(task_of, np.int32)  # of each location
        self.deviations = np.array(deviations, np.float32)  # of its weights at the start
        self.limits = np.array(limits, np.float32)  # between which they are uniform if PyTorch has it so; else 0

    @property
    def num_locations(self) -> int:
        """Blocks of all models."""
        return len(self.task_of)

    def unpack(self, blocks: Float[Array, "locations m n"], index: int) -> dict[LeafPath, Array]:
        """The generated leaves of the models of a part, each with a leading axis of its tasks."""
        part, first = self.parts[index], self._first[index]
        each = sum(one.num_blocks(self.block) for one in part.matrices)
        own = blocks[first : first + each * len(part.tasks)].reshape(len(part.tasks), each, *self.block)
        found, at = {}, 0
        for one in part.matrices:
            size = one.num_blocks(self.block)
            found[one.path] = jax.vmap(lambda cut, one=one: one.unpack(cut, self.block))(own[:, at : at + size])
            at += size
        return found

    def places(self, index: int) -> slice:
        """The locations of a part."""
        part = self.parts[index]
        each = sum(one.num_blocks(self.block) for one in part.matrices)
        return slice(self._first[index], self._first[index] + each * len(part.tasks))

    def pack_part(self, index: int, leaves: Mapping[LeafPath, Any]) -> Float[np.ndarray, "locations m n"]:
        """The blocks of a part whose models all have these leaves."""
        part = self.parts[index]
        blocks = np.concatenate([one.pack(leaves[one.path], self.block) for one in part.matrices])
        return np.tile(blocks, (len(part.tasks), 1, 1))

    def pack(self, leaves: Sequence[Mapping[LeafPath, Any]]) -> Float[np.ndarray, "locations m n"]:
        """The blocks of generated leaves, part by part as `unpack` gives them."""
        found = [
            one.pack(own[one.path][place], self.block)
            for part, own in zip(self.parts, leaves, strict=True)
            for place in range(len(part.tasks))
            for one in part.matrices
        ]
        return np.concatenate(found)
