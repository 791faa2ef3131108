"""The reparameterisation: which leaves of a model are generated, how they are cut into blocks, and how blocks are made.

Every generated leaf is one or more matrices (a tap of a convolution, a gate of an LSTM, a kernel of a transformer),
padded up to a multiple of the block's size. A block is a location: a module, weighed by a private context, makes it
(spec of MUiR, section 2). Which block lies where is fixed by the plan alone, so training sees one gather, one
contraction, and slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

LeafPath = str  # "encoder/kernel"
Block = tuple[int, int]  # rows (inputs) and columns (outputs): m x n
_DENSE_CHOICE = 1 << 16  # modules x locations up to which choosing them is a matrix product


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


def generate(
    modules: Float[Array | np.ndarray, "modules context m n"],
    contexts: Float[Array | np.ndarray, "locations context"],
    candidates: Int[Array | np.ndarray, "candidates locations"],
    scores: Float[Array | np.ndarray, "candidates locations"] | None = None,
    places: Int[Array | np.ndarray, " drawn"] | None = None,
) -> Float[Array, "locations m n"]:
    """All blocks of all models: Eq. 5 of the first candidates, or Eq. 8 of all where scores are given.

    The soft merge mixes weights, so models themselves run once however many candidates there are.

    Args:
      modules: trained, shared.
      contexts: trained, one a location, the same for all of its candidates.
      candidates: modules of each location.
      scores: of the candidates, before the softmax.
      places: the only locations whose candidates may differ, in increasing order; None: any may.
    """
    shares = None if scores is None else jax.nn.softmax(scores, axis=0)
    chosen = jnp.asarray(candidates[:1] if shares is None else candidates)
    weights = jnp.ones(chosen.shape, modules.dtype) if shares is None else shares
    (count, context, m, n), locations = modules.shape, contexts.shape[0]
    if count * locations <= _DENSE_CHOICE:  # a gather's gradient scatters, which is slow where there is little to move
        is_chosen = chosen[:, :, None] == jnp.arange(count)
        share_of = jnp.where(is_chosen, weights[:, :, None], 0).sum(axis=0)
        mixing = share_of[:, :, None] * contexts[:, None, :]
        made = mixing.reshape(locations, count * context) @ modules.reshape(count * context, m * n)
        return made.reshape(locations, m, n)
    if shares is None:
        return _mixed(modules.reshape(-1, m * n), jnp.asarray(contexts), chosen[0]).reshape(locations, m, n)
    if places is None:
        places = jnp.arange(locations)
    # The incumbents of all locations and the challengers of those that have some, as rows of one gather.
    kept = jnp.ones(locations, modules.dtype).at[places].set(shares[0, places])
    tried = shares[1:, places, None] * contexts[places]
    rows = jnp.concatenate([chosen[0], chosen[1:, places].reshape(-1)])
    weighed = jnp.concatenate([kept[:, None] * contexts, tried.reshape(-1, context)])
    made = _mixed(modules.reshape(-1, m * n), weighed, rows)
    challengers = made[locations:].reshape(len(shares) - 1, -1, m * n).sum(axis=0)
    made = made[:locations].at[places].add(challengers, unique_indices=True, indices_are_sorted=True)
    return made.reshape(locations, m, n)


@jax.custom_vjp
def _mixed(
    slices: Float[Array, "modules_times_context x"], weights: Float[Array, "rows context"], chosen: Int[Array, " rows"]
) -> Float[Array, "rows x"]:
    """For each row the weighed sum of the slices of its module; one slice of all rows at a time.

    Left to itself autodiff keeps the gathered modules, many times the weights that come of them, and scatters them all
    at once; this backward rule gathers again, which takes half of the time and a third of the memory or less.
    """
    count = weights.shape[1]

    def add(at: Any, total: Array) -> Array:
        return total + weights[:, at, None] * slices[chosen * count + at]

    empty = jnp.zeros((len(chosen), slices.shape[1]), slices.dtype)
    made: Array = jax.lax.fori_loop(0, count, add, empty)
    return made


def _mixed_forward(slices: Array, weights: Array, chosen: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _mixed(slices, weights, chosen), (slices, weights, chosen)


def _mixed_backward(kept: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, Array, None]:
    slices, weights, chosen = kept
    count = weights.shape[1]

    def add(at: Any, found: tuple[Array, Array]) -> tuple[Array, Array]:
        of_slices, of_weights = found
        rows = chosen * count + at
        of_slices = of_slices.at[rows].add(weights[:, at, None] * gradient)
        return of_slices, of_weights.at[:, at].set((slices[rows] * gradient).sum(axis=1))

    empty = jnp.zeros_like(slices), jnp.zeros_like(weights)
    of_slices, of_weights = jax.lax.fori_loop(0, count, add, empty)
    return of_slices, of_weights, None


_mixed.defvjp(_mixed_forward, _mixed_backward)


def refined(
    candidates: Int[Array | np.ndarray, "candidates locations"],
    scores: Float[Array | np.ndarray, "candidates locations"],
    picks: Int[Array | np.ndarray, " locations"],
) -> Int[Array, " locations"]:
    """What `alignment.tell` gives, traced: the modules that would win now."""
    shares = jax.nn.softmax(scores, axis=0)
    found = (jnp.where(candidates[:, None] == candidates[None], shares[None], 0)).sum(axis=1)
    rows = jnp.where(picks >= 0, picks, (found > found.max(axis=0) - 1e-6).argmax(axis=0))
    return jnp.take_along_axis(candidates, rows[None], axis=0)[0]
