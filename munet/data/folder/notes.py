"""What a user should know of a folder's content: the same file in two splits, or under two labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Int32

from munet.data.equal_images import PAIRS
from munet.data.folder.image_files import Listing
from munet.data.folder.index import FileFacts
from munet.data.splits import SplitName


def equal_files(
    listing: Listing,
    facts: Sequence[FileFacts],
    labels: Int32[np.ndarray, " files"],
    parts: Mapping[SplitName, Int[np.ndarray, " part"]],
) -> list[str]:
    """A sentence for each pair of splits that share files of equal content, and for each kind of contradiction."""
    notes = []
    for name, other in PAIRS:
        places = {facts[number].digest: number for number in reversed(parts[other].tolist())}
        shared = [number for number in parts[name].tolist() if facts[number].digest in places]
        if shared:
            example = _pair(listing, shared[0], places[facts[shared[0]].digest])
            notes.append(
                f"{len(shared):,} of {len(parts[name]):,} {name} images are also in {other} (files of equal content), "
                f"e.g. {example}."
            )
    first: dict[str, int] = {}
    kept = sorted(number for part in parts.values() for number in part.tolist())
    contradictions = [n for n in kept if labels[first.setdefault(facts[n].digest, n)] != labels[n]]
    if contradictions:
        example = _pair(listing, contradictions[0], first[facts[contradictions[0]].digest])
        notes.append(f"Files with the content of one of another class: {len(contradictions):,}, e.g. {example}.")
    return notes


def _pair(listing: Listing, number: int, other: int) -> str:
    return f"{listing.files[number].path} = {listing.files[other].path}"
