"""Splits in TFDS notation that share no image: what overlaps is refused, what is missing is cut out of training.

Whatever mix of percent, numbers and sums a notation is made of, it is some intervals of examples of named splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from munet.data.splits import SPLITS
from munet.data.tfds.prepared_set import PreparedSet
from munet.errors import DataError

_CUT_VALIDATION, _CUT_TEST = 20, 10  # one in so many training images, where there are no others


@dataclass(frozen=True)
class Slice:
    """Examples `start` to `stop` of a named split."""

    split: str
    start: int
    stop: int

    def __len__(self) -> int:
        return max(self.stop - self.start, 0)

    def __str__(self) -> str:
        return f"{self.split}[{self.start}:{self.stop}]"

    def without(self, other: Slice) -> list[Slice]:
        """What is left when `other` is taken out."""
        if other.split != self.split or shared([self], [other]) == 0:
            return [self]
        parts = [Slice(self.split, self.start, other.start), Slice(self.split, other.stop, self.stop)]
        return [part for part in parts if len(part)]


def disjoint(
    opened: PreparedSet, defaults: Mapping[str, str], options: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The notation of each split, and a sentence for each that was cut out of training images.

    Args:
      opened: the set.
      defaults: of splits that are not asked for, where the set has them and they are not asked for as others.
      options: the notations that are asked for.

    Raises:
      DataError: a split is not there, or two that are asked for share images.
    """
    given: dict[str, list[Slice]] = {split: slices(opened, options[split]) for split in SPLITS if split in options}
    _check(opened, given)
    usual: dict[str, str] = {split: options.get(split, defaults[split]) for split in SPLITS}
    if all(_is_there(opened, notation) for notation in usual.values()):
        parts = [slices(opened, notation) for notation in usual.values()]
        if not any(shared(one, other) for one, other in combinations(parts, 2)):
            return usual, []
    found = dict(given)
    for split in reversed(SPLITS[1:]):  # the test images first: those of their own split belong to it
        if split not in found and _is_there(opened, usual[split]):
            rest = without(slices(opened, usual[split]), [part for parts in found.values() for part in parts])
            if rest:
                found[split] = rest
    if "train" in given:
        whole = train = given["train"]
    elif "train" in opened.split_names:
        whole = slices(opened, "train")
        train = without(whole, [part for parts in found.values() for part in parts])
    else:
        raise DataError(f"{opened.uri}: which split is to train? {opened.splits_listed}")
    notes = []
    total = sum(map(len, whole))
    if "test" not in found:
        train, found["test"] = _cut(train, sum(map(len, train)) - max(total // _CUT_TEST, 1))
        notes.append(_told(opened, "test", found["test"]))
    if "validation" not in found:
        found["validation"], train = _cut(train, max(total // _CUT_VALIDATION, 1))
        notes.append(_told(opened, "validation", found["validation"]))
    found["train"] = train
    return {split: "+".join(map(str, found[split])) or f"{opened.split_names[0]}[0:0]" for split in SPLITS}, notes


def slices(opened: PreparedSet, notation: str) -> list[Slice]:
    """The intervals that a notation means; those that follow on each other are one.

    Raises:
      DataError: no such split, or no such notation.
    """
    joined: list[Slice] = []
    for part in (Slice(*found) for found in opened.intervals(notation)):
        if joined and joined[-1].split == part.split and joined[-1].stop == part.start:
            part = Slice(part.split, joined.pop().start, part.stop)
        joined.append(part)
    return [part for part in joined if len(part)]


def without(parts: Iterable[Slice], taken: Iterable[Slice]) -> list[Slice]:
    """What is left of some slices when others are taken out."""
    left = list(parts)
    for other in taken:
        left = [rest for part in left for rest in part.without(other)]
    return left


def shared(one: Sequence[Slice], other: Sequence[Slice]) -> int:
    """How many examples are in both."""
    return sum(max(min(a.stop, b.stop) - max(a.start, b.start), 0) for a in one for b in other if a.split == b.split)


def _check(opened: PreparedSet, given: Mapping[str, Sequence[Slice]]) -> None:
    for first, second in combinations(given, 2):
        if count := shared(given[first], given[second]):
            raise DataError(
                f"{opened.uri}: {first} and {second} share {count:,} images: take them out of one. "
                f"{opened.splits_listed}"
            )


def _cut(parts: Sequence[Slice], size: int) -> tuple[list[Slice], list[Slice]]:
    """The first `size` examples of some slices, and the others."""
    first: list[Slice] = []
    others: list[Slice] = []
    for part in parts:
        taken = min(size, len(part))
        size -= taken
        first.append(Slice(part.split, part.start, part.start + taken))
        others.append(Slice(part.split, part.start + taken, part.stop))
    return [part for part in first if len(part)], [part for part in others if len(part)]


def _is_there(opened: PreparedSet, notation: str) -> bool:
    try:
        opened.intervals(notation)
    except DataError:
        return False
    return True


def _told(opened: PreparedSet, split: str, parts: Sequence[Slice]) -> str:
    taken = "+".join(map(str, parts))
    return f"no other images are there for {split}: {taken} is taken out of training. {opened.splits_listed}"
