"""The mapping behind the controller's state: a dict in key order that never changes."""

from __future__ import annotations

import random
import sys

import pytest

from munet.evolution.sorted_map import SortedMap


@pytest.mark.parametrize("seed", range(20))
def test_it_does_what_a_dict_does(seed: int) -> None:
    """Random changes, with keys that come and go in runs, against a dict; older versions stay as they were."""
    draw = random.Random(seed)
    expected: dict[int, int] = {}
    actual: SortedMap[int, int] = SortedMap()
    versions: list[tuple[dict[int, int], SortedMap[int, int]]] = []
    highest = draw.choice((5, 300, 3000))
    for step in range(150):
        changes = {draw.randrange(highest): step for _ in range(draw.choice((0, 1, 5, 100)))}
        if draw.random() < 0.3:  # a whole range at once
            gone = [key for key in expected if step * 10 <= key < step * 30 and key not in changes]
        else:
            keys = [key for key in expected if key not in changes]
            gone = draw.sample(keys, min(len(keys), draw.choice((0, 3, 60))))
        versions.append((dict(expected), actual))
        actual = actual.changed(changes, gone)
        expected = {key: value for key, value in {**expected, **changes}.items() if key not in gone}
        assert actual == expected
        assert expected == actual
        assert list(actual) == sorted(expected)
    for before, version in versions:
        assert version == before
        assert list(reversed(version)) == sorted(before, reverse=True)
        assert len(version) == len(before)
        assert [version.key_at(rank) for rank in range(len(before))] == sorted(before)
        assert all(version[key] == value and key in version for key, value in before.items())
        assert -1 not in version
        assert highest not in version
        assert version.get(highest + 1) is None


def test_what_is_not_there_is_refused() -> None:
    for items in ({}, {"b": 1}, {"b": 1, "d": 2}):
        value = SortedMap(items)
        for key in ("a", "c", "e"):
            with pytest.raises(KeyError):
                value[key]
            with pytest.raises(KeyError):
                value.changed({}, [key])
        for rank in (-1, len(items)):
            with pytest.raises(IndexError):
                value.key_at(rank)


def test_a_change_touches_few_blocks() -> None:
    value = SortedMap({key: str(key) for key in range(10_000)})
    after = value.changed({5_000: "other"}, [7_000])
    shared = {id(block) for block in value._blocks} & {id(block) for block in after._blocks}
    assert len(shared) >= len(value._blocks) - 2


def test_blocks_stay_filled_when_most_goes() -> None:
    value = SortedMap({key: key for key in range(10_000)})
    for key in range(10_000):
        if key % 100:
            value = value.changed({}, [key])
    assert list(value) == list(range(0, 10_000, 100))
    assert len(value._blocks) < 20
    assert sys.getsizeof(value._blocks) < 10_000
