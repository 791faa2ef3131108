"""What the labels of a set must be, one class number an image, and what to do with those that are something else."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from munet.errors import DataError

ONE_CLASS = "munet solves tasks in which every image has one class"


def class_numbers(uri: str, labels: np.ndarray) -> Int64[np.ndarray, " n"]:
    """Labels as class numbers.

    Raises:
      DataError: several labels an image, real numbers, names; the message says how to make class numbers of them.
    """
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        if labels.dtype == np.uint64 and len(labels) and labels.max() > np.iinfo(np.int64).max:
            raise DataError(f"{uri}: label {labels.max()} is too large.")
        return labels.astype(np.int64)
    raise DataError(f"{uri}: labels is {labels.dtype} {list(labels.shape)}, expected integers [n]. {_advice(labels)}")


def _advice(labels: np.ndarray) -> str:
    kind = labels.dtype.kind
    if labels.ndim > 1 and labels.size == len(labels):
        return "Give labels.reshape(-1)."
    if labels.ndim == 2 and kind in "iufb" and _is_one_hot(labels):
        return "They look one-hot: give labels.argmax(axis=1)."
    if labels.ndim > 1:
        return (
            f"That is several labels an image (multi-label), and {ONE_CLASS}: keep one label of each, or make a task "
            "of yes and no of every label."
        )
    if kind == "f" and np.isfinite(labels).all() and (labels == np.floor(labels)).all():
        return "They are whole numbers: give labels.astype(int)."
    if kind in "fc":
        return (
            "They are real numbers, as of a regression, and munet classifies: cut them into classes, e.g. with "
            "numpy.digitize."
        )
    if kind == "b":
        return "Give labels.astype(int)."
    if kind in "US":
        return "They are names: give `class_names, labels = numpy.unique(labels, return_inverse=True)`, and save both."
    return ""


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
