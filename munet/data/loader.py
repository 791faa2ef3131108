"""Which images make up which batch: pure arithmetic and derived permutations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Int, Int32

from munet import rng
from munet.config import Experiment


def effective_batch_size(num_train: int, experiment: Experiment) -> int:
    """Images in a training batch: as configured, at most the whole training set."""
    return min(experiment.batch_size, num_train)


def steps_per_cycle(num_train: int, experiment: Experiment) -> int:
    """Training batches in a cycle: one epoch, within the configured bounds."""
    epoch = -(-num_train // effective_batch_size(num_train, experiment))
    return max(min(epoch, experiment.max_batches_per_cycle), experiment.min_batches_per_cycle)


def batch_indices(
    path: rng.Path, num_examples: int, batch_size: int, first_step: int, num_steps: int
) -> Int32[np.ndarray, "num_steps batch_size"]:
    """Training examples of some consecutive steps.

    The sequence of examples is one permutation after another, one an epoch; steps count on over cycles and a batch may
    straddle two epochs, so any window of steps can be made alone.

    Args:
      path: of the draw (see `munet.rng`); epoch `e` uses `(*path, "epoch", e)`.
      num_examples: size of the training set.
      batch_size: examples in a step.
      first_step: steps before the first one wanted.
      num_steps: how many are wanted.
    """
    start, stop = first_step * batch_size, (first_step + num_steps) * batch_size
    first_epoch, end_epoch = start // num_examples, -(-stop // num_examples)
    epochs = [_epoch(path, epoch, num_examples) for epoch in range(first_epoch, end_epoch)]
    sequence = np.concatenate(epochs) if epochs else np.empty(0, np.int64)
    offset = first_epoch * num_examples
    return sequence[start - offset : stop - offset].astype(np.int32).reshape(num_steps, batch_size)


def balanced_indices(
    path: rng.Path, labels: Int[np.ndarray, " n"], batch_size: int, first_step: int, num_steps: int
) -> Int32[np.ndarray, "num_steps batch_size"]:
    """As `batch_indices`, with every class equally often, however few images it has.

    The sequence is one round after another; a round is a permutation of the classes that have images, so whole rounds
    are exactly balanced and in any other window two classes differ by two examples at most. In round `r` a class gives
    its `r`-th image: permutations of its own images follow each other, so these too come equally often, and a class of
    one image gives it in every round. A cycle has as many steps as without balancing; only what fills them differs.

    Args:
      path: of the draw; `(*path, "round")` orders the rounds, `(*path, "size", n)` the images of classes of `n`.
      labels: of the training set.
      batch_size, first_step, num_steps: as for `batch_indices`.
    """
    by_class = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    start, stop = first_step * batch_size, (first_step + num_steps) * batch_size
    first, end = start // len(sizes), -(-stop // len(sizes))
    rounds = rng.permutations((*path, "round"), len(sizes), first, end - first).reshape(-1)
    wanted = rounds[start - first * len(sizes) : stop - first * len(sizes)]  # indices of classes
    occurrence = np.arange(start, stop) // len(sizes)  # of that class before: one in every round
    sequence = np.empty(len(wanted), np.int64)
    for size in np.unique(sizes[wanted]):  # classes of one size go through their images in step: one draw for all
        equal = np.flatnonzero(sizes == size)
        first_epoch, end_epoch = first // size, -(-end // size)
        orders = rng.permutations(
            (*path, "size", int(size)),
            int(size),
            int(first_epoch) * len(equal),
            int(end_epoch - first_epoch) * len(equal),
        ).reshape(-1, len(equal), size)
        there = np.flatnonzero(sizes[wanted] == size)
        epoch, place = np.divmod(occurrence[there], size)
        order = orders[epoch - first_epoch, np.searchsorted(equal, wanted[there]), place]
        sequence[there] = by_class[starts[wanted[there]] + order]
    sequence = sequence.astype(np.int32)
    return sequence.reshape(num_steps, batch_size)


@lru_cache(maxsize=4)  # the segments of an epoch follow each other
def _epoch(path: rng.Path, epoch: int, num_examples: int) -> Int[np.ndarray, " num_examples"]:
    """The order of the examples in one epoch; read-only, because it is shared."""
    order = rng.permutation((*path, "epoch", epoch), num_examples)
    order.flags.writeable = False
    return order


def num_validated(num_validation: int, experiment: Experiment) -> int:
    """How many of the first validation images a quality is counted over."""
    return min(num_validation, experiment.max_validation_batches * experiment.batch_size)
