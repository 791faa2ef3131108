"""Hypermodules that are fitted to given blocks by least squares, without any training (the paper's Eq. 5).

With its module a block is a weighed sum of `context` matrices: a point of the subspace that they span. So the best
modules for a given alignment are the first singular vectors of each module's blocks, the best alignment for given
modules takes the subspace that is nearest, and both in turns never make the error larger (k-subspaces clustering).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from munet.methods.muir import folding
from munet.methods.muir.blocks import Block

_ROWS = 1024  # blocks that are compared with all modules at a time, which bounds memory


class Fit(NamedTuple):
    """Modules for some blocks.

    Attributes:
      modules: orthonormal matrices, as vectors.
      contexts: of every block.
      alignment: the module of every block.
      errors: the sum of squared differences to the blocks, before every step and at the end.
    """

    modules: Float[np.ndarray, "modules context x"]
    contexts: Float[np.ndarray, "locations context"]
    alignment: Int[np.ndarray, " locations"]
    errors: tuple[float, ...]

    @property
    def blocks(self) -> Float[np.ndarray, "locations x"]:
        """What they make."""
        made: Float[np.ndarray, "locations x"] = np.einsum("la,lax->lx", self.contexts, self.modules[self.alignment])
        return made


def fit(blocks: Float[np.ndarray, "locations x"], count: int, context: int, seed: int, steps: int) -> Fit:
    """Modules and contexts for blocks.

    Args:
      blocks: as vectors.
      count: modules.
      context: numbers in a context.
      seed: of the blocks that each module begins with, as many as contexts have numbers.
      steps: turns, each of the alignment, then of modules.
    """
    order = np.random.default_rng(seed).permutation(len(blocks))
    first = blocks[order[np.arange(count * context) % len(blocks)]]
    modules = _modules(first, np.repeat(np.arange(count), context), count, context)
    errors = []
    for _ in range(steps):
        alignment, left = _aligned(blocks, modules)
        alignment = _filled(alignment, left, count, context)
        modules = _modules(blocks, alignment, count, context)
        errors.append(float(left.sum()))
    contexts = np.einsum("lx,lax->la", blocks, modules[alignment])
    found = Fit(modules, contexts, alignment, ())
    return found._replace(errors=(*errors, float(((blocks - found.blocks) ** 2).sum())))


def numbers(alignment: Sequence[int], context: int, block: Block) -> int:
    """How many numbers a fit is: modules, contexts, and of every block which module it has.

    A module that is no cheaper than the blocks that it makes counts as these blocks.
    """
    return folding.sizes(alignment, context, block).folded + len(alignment)


def affordable(budget: int, locations: int, context: int, block: Block) -> int:
    """How many modules so many numbers pay for, beside the contexts and the alignment of all blocks."""
    return (budget - locations * (context + 1)) // (context * block[0] * block[1])


def _modules(
    blocks: Float[np.ndarray, "locations x"], alignment: Int[np.ndarray, " locations"], count: int, context: int
) -> Float[np.ndarray, "modules context x"]:
    """For each module the first right singular vectors of its blocks; zeros where there are fewer."""
    modules = np.zeros((count, context, blocks.shape[1]), blocks.dtype)
    order = np.argsort(alignment, kind="stable")
    ends = np.searchsorted(alignment[order], np.arange(count), "right")
    for number, own in enumerate(np.split(blocks[order], ends[:-1])):
        if len(own) > blocks.shape[1]:  # a Gram matrix is smaller, and as good for so few of its eigenvectors
            vectors = np.linalg.eigh(own.T @ own)[1][:, ::-1].T
        else:
            vectors = np.linalg.svd(own, full_matrices=False)[2]
        modules[number, : len(vectors)] = vectors[:context]
    return modules


def _aligned(
    blocks: Float[np.ndarray, "locations x"], modules: Float[np.ndarray, "modules context x"]
) -> tuple[Int[np.ndarray, " locations"], Float[np.ndarray, " locations"]]:
    """The nearest module of every block, and the squared distance to it."""
    count, context, size = modules.shape
    flat = modules.reshape(count * context, size).T
    alignment, kept = np.empty(len(blocks), np.int64), np.empty(len(blocks), blocks.dtype)
    for at in range(0, len(blocks), _ROWS):
        caught = ((blocks[at : at + _ROWS] @ flat) ** 2).reshape(-1, count, context).sum(axis=2)
        alignment[at : at + _ROWS], kept[at : at + _ROWS] = caught.argmax(axis=1), caught.max(axis=1)
    return alignment, np.maximum((blocks**2).sum(axis=1) - kept, 0)


def _filled(
    alignment: Int[np.ndarray, " locations"], left: Float[np.ndarray, " locations"], count: int, context: int
) -> Int[np.ndarray, " locations"]:
    """Modules that nobody uses get the blocks that are made worst, as many as each makes exactly."""
    empty = np.setdiff1d(np.arange(count), alignment)
    worst = np.argsort(-left)[: len(empty) * context]
    alignment[worst] = np.repeat(empty, context)[: len(worst)]
    return alignment
