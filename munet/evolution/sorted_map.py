"""A mapping that never changes, in the order of its keys: a changed copy shares all but what changed with the original.

The controller's state is a value, and a run makes a new one with every journal entry. Copying whole
dicts would make an entry cost as much as there are tasks. Here the entries lie in blocks of some dozens, and a changed
copy has new blocks where something changed; what grows with the size is a list of blocks, one pointer for each.

The order gives what hash tries do not have (those of `immutables` or `rpds-py`, which would otherwise do): the newest
models first, the model at a rank, and files that are the same for equal states.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Reversible
from itertools import chain
from typing import Any, TypeVar, cast, overload

K = TypeVar("K", int, str)
V = TypeVar("V")
D = TypeVar("D")

_MOST = 64  # entries in a block; half as many where blocks are made, so that there is room
_FEWEST = 16  # a block with fewer goes into the one before it, if there is room


class SortedMap(Mapping[K, V], Reversible[K]):
    """See the module. Equal to any mapping of the same items.

    Args:
      items: what it holds.
    """

    __slots__ = ("_blocks", "_firsts", "_length")

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()):
        self._blocks: list[dict[K, V]] = _cut(dict(sorted(dict(items).items())))  # none is empty
        self._firsts: list[K] = [next(iter(block)) for block in self._blocks]
        self._length = sum(map(len, self._blocks))

    def __getitem__(self, key: K) -> V:
        place = bisect_right(self._firsts, key) - 1
        if place < 0:
            raise KeyError(key)
        return self._blocks[place][key]

    def __contains__(self, key: object) -> bool:
        place = bisect_right(self._firsts, cast(K, key)) - 1
        return place >= 0 and key in self._blocks[place]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | D) -> V | D: ...
    def get(self, key: K, /, default: Any = None) -> Any:
        """The value of a key, or `default`; faster than what mappings have."""
        place = bisect_right(self._firsts, key) - 1
        return default if place < 0 else self._blocks[place].get(key, default)

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._blocks)

    def __reversed__(self) -> Iterator[K]:
        return chain.from_iterable(map(reversed, reversed(self._blocks)))

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"SortedMap({dict(self.items())!r})"

    def key_at(self, rank: int) -> K:
        """The key that `rank` others are smaller than.

        Raises:
          IndexError: there are not so many.
        """
        left = rank
        for block in self._blocks if rank >= 0 else ():
            if left < len(block):
                return list(block)[left]
            left -= len(block)
        raise IndexError(rank)

    def changed(self, changes: Mapping[K, V], gone: Iterable[K] = ()) -> SortedMap[K, V]:
        """A copy with other or more items, and without the keys in `gone`.

        Raises:
          KeyError: one of `gone` is not there.
        """
        if not self._blocks:
            items = dict(changes)
            for key in gone:
                del items[key]
            return SortedMap(items)
        result: SortedMap[K, V] = SortedMap()
        result._blocks, result._firsts, result._length = self._blocks.copy(), self._firsts.copy(), self._length
        touched: dict[int, dict[K, V]] = {}
        for key, value in changes.items():
            touched.setdefault(self._place(key), {})[key] = value
        removed: dict[int, list[K]] = {}
        for key in gone:
            removed.setdefault(self._place(key), []).append(key)
        for place in sorted({*touched, *removed}, reverse=True):  # from the end, so that earlier places stay
            result._replace(place, touched.get(place, {}), removed.get(place, ()))
        return result

    def _place(self, key: K) -> int:
        """The index of the block that a key belongs into."""
        return max(bisect_right(self._firsts, key) - 1, 0)

    def _replace(self, place: int, changes: Mapping[K, V], gone: Iterable[K]) -> None:
        """Changes one block of a copy in the making."""
        old = self._blocks[place]
        block = {**old, **changes}
        if len(block) > len(old):
            block = dict(sorted(block.items()))
        for key in gone:
            del block[key]
        self._length += len(block) - len(old)
        start = place
        if place and len(block) < _FEWEST and len(block) + len(self._blocks[place - 1]) <= _MOST:
            start, block = place - 1, {**self._blocks[place - 1], **block}
        blocks = _cut(block) if len(block) > _MOST else [block] * bool(block)
        self._blocks[start : place + 1] = blocks
        self._firsts[start : place + 1] = [next(iter(block)) for block in blocks]


def _cut(items: dict[K, V]) -> list[dict[K, V]]:
    """Sorted items in blocks of half the most."""
    pairs = list(items.items())
    return [dict(pairs[start : start + _MOST // 2]) for start in range(0, len(pairs), _MOST // 2)]
