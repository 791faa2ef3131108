"""What a user should know of equal images in a set of arrays: in two splits, or of two classes.

Such sets are split image by image, so that equal ones may part; a folder's files of equal content and class stay in one
split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

_Split = Literal["train", "validation", "test"]  # as in `splits.py`, which needs this file

# Splits that should share nothing: what is counted is the first's.
PAIRS: tuple[tuple[_Split, _Split], ...] = (("validation", "train"), ("test", "train"), ("test", "validation"))


def digests_of(images: UInt8[np.ndarray, "n h w c"]) -> list[bytes]:
    """The SHA-256 of each image's pixels."""
    return [hashlib.sha256(image.tobytes()).digest() for image in images]


def notes_on_equal_images(
    digests: Mapping[_Split, Sequence[bytes]], labels: Mapping[_Split, Int[np.ndarray, " n"]], what: str
) -> tuple[str, ...]:
    """A sentence for each pair of splits that share images, and one where equal images are of several classes.

    Args:
      digests: of each image's content, by split; splits may be missing.
      labels: of the same images.
      what: is equal, for the sentences: "pixels".
    """
    notes = []
    for name, other in PAIRS:
        there = set(digests.get(other, ()))
        if num_shared := sum(digest in there for digest in digests.get(name, ())):
            notes.append(f"{num_shared:,} of {len(digests[name]):,} {name} images are also in {other} (equal {what}).")
    first: dict[bytes, int] = {}
    num_others = sum(
        first.setdefault(digest, label) != label
        for name in digests
        for digest, label in zip(digests[name], labels[name].tolist(), strict=True)
    )
    if num_others:
        notes.append(f"Images with the {what} of one of another class: {num_others:,}.")
    return tuple(notes)
