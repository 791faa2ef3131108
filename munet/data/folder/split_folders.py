"""Which files of a folder train, validate and test: as the folder says, the rest by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int32

from munet.data.folder.image_files import Listing
from munet.data.folder.index import FileFacts
from munet.data.splits import SPLITS, SplitName, split_by_rank, tenth


def split_files(
    listing: Listing,
    facts: Sequence[FileFacts],
    numbers: Int[np.ndarray, " kept"],
    labels: Int32[np.ndarray, " files"],
    seed: int,
) -> tuple[dict[SplitName, Int[np.ndarray, " part"]], list[str]]:
    """The files of each split, ordered by content hash with the seed; and what was decided for the user.

    Splits that the folder does not have are cut from the training images, within each class; files of equal content
    and class stay together there.
    """
    given = [listing.files[number].split for number in range(len(facts))]
    present = {split for split in given if split}
    order = sorted(numbers.tolist(), key=lambda n: (_seeded(facts[n].digest, seed), listing.files[n].path))
    parts: dict[SplitName, list[int]] = {name: [n for n in order if given[n] == name] for name in SPLITS}
    missing = [name for name in SPLITS if name not in present]
    if missing:
        pool = [n for n in order if given[n] in (None, "train")]
        first: dict[tuple[str, int], int] = {}
        for n in pool:
            first.setdefault((facts[n].digest, int(labels[n])), n)
        unique = np.array(list(first.values()), np.int64)
        counts = np.bincount(labels[unique], minlength=len(listing.class_names))
        share = tenth(counts, at_least=2 if len(missing) == 1 else 3)
        none = np.zeros_like(share)
        cut = split_by_rank(
            np.arange(len(unique)),
            labels[unique],
            num_validation=share if "validation" in missing else none,
            num_test=share if "test" in missing else none,
        )
        place = {int(unique[index]): name for name, indices in cut.items() for index in indices}
        for name in (*missing, "train"):
            parts[name] = []
        for n in pool:
            parts[place[first[facts[n].digest, int(labels[n])]]].append(n)
    notes = []
    if present and missing:
        cut_out = " and ".join(f"{len(parts[name]):,} for {name}" for name in missing)
        notes.append(
            f"There is no {' and no '.join(missing)} split: a tenth of each class's training images is cut out by "
            f"content hash: {cut_out}."
        )
    return {name: np.array(parts[name], np.int64) for name in SPLITS}, notes


def _seeded(digest: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{digest}".encode()).digest()
