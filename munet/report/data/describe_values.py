"""What `munet data TASK...` says of tasks of values, which have neither images nor classes: some sentences each."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from munet.data.builtin.dna import SYMBOLS
from munet.data.tasks import Task


def describe_values(task: Task) -> str:
    """Splits, inputs and targets of a task of values, and the error of a constant prediction. Decodes the task.

    Raises:
      DataError: its data cannot be read.
    """
    info, train, validation = task.info, task.split("train"), task.split("validation")
    inputs, targets = train.decoded, train.labels.astype(np.float64)
    is_dna = inputs.dtype == np.uint8
    what = f"windows of {inputs.shape[1]:,} nucleotides" if is_dna else f"vectors of {inputs.shape[1]:,} numbers"
    constant = float(((validation.labels - targets.mean()) ** 2).mean())
    letters = f" Letters of training: {_letters(inputs)}." if is_dna else ""
    return (
        f"{info.uri}: {info.num_train:,} training, {info.num_validation:,} validation and {info.num_test:,} test "
        f"{what}, each with a number to predict.{letters} Training targets: {targets.min():.4g} to "
        f"{targets.max():.4g}, mean {targets.mean():.4g}, deviation {targets.std():.4g}. Always predicting their mean "
        f"gives a mean squared error of {constant:.4g} on validation data."
    )


def _letters(windows: UInt8[np.ndarray, "n length"]) -> str:
    """How many of all letters are which, by letter."""
    pieces = np.array_split(windows, 64)  # counting takes eight bytes a letter
    counts = np.sum([np.bincount(piece.reshape(-1), minlength=len(SYMBOLS)) for piece in pieces], axis=0)
    shares = counts / counts.sum()
    return ", ".join(f"{symbol} {share:.1%}" for symbol, share in zip(SYMBOLS, shares, strict=True))
