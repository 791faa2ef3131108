"""What a user should know of a folder: equal files in two splits or of two labels, tasks that are taken for classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
from jaxtyping import Int, Int32

from munet.data.equal_images import PAIRS
from munet.data.folder.image_files import Listing, split_named
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


def perhaps_tasks(listing: Listing) -> list[str]:
    """A sentence where the classes look like tasks: all images lie deeper, in folders that differ from class to class.

    Folders of the same names in every class (of cameras, of days) are none but those of splits.
    """
    if listing.has_splits:
        return []
    inside: dict[str, set[str]] = defaultdict(set)
    for file in listing.files:
        parts = PurePath(file.path).parts
        if len(parts) < 3:
            return []
        inside[parts[0]].add(parts[1])
    are_splits = all(split_named(name) for names in inside.values() for name in names)
    if any(len(names) < 2 for names in inside.values()) or (set.intersection(*inside.values()) and not are_splits):
        return []
    first, second, *_ = inside
    below = ", ".join(f"{first}/{name}" for name in sorted(inside[first])[:2])
    return [
        f"No class has images of its own, only folders of them ({below}, ...). If {first}, {second} and so on are "
        f"tasks, not classes, name each: folder:{listing.root / first},folder:{listing.root / second}."
    ]


def _pair(listing: Listing, number: int, other: int) -> str:
    return f"{listing.files[number].path} = {listing.files[other].path}"
