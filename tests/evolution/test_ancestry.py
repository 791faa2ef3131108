"""The nearest ancestor that has something, against a walk up the lineage."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from munet.evolution.ancestry import Ancestry, Key
from munet.evolution.sorted_map import SortedMap
from munet.types import ComponentRecord, Leaf, ModelId, ModelRecord

RECORDS = {f"{name} {size}": ComponentRecord(name, {"w": Leaf((size,))}, "clone") for name in "abc" for size in (1, 2)}


def model(id: ModelId, parent: ModelId | None, own: list[str]) -> ModelRecord:
    components = {RECORDS[component].name: component for component in own}
    return ModelRecord(id, None if parent is None else f"task{id % 7}", parent, {}, components)


def walk(models: dict[ModelId, ModelRecord], id: ModelId, key: Key) -> Iterator[ModelId]:
    at: ModelId | None = id
    while at is not None:
        found = models[at]
        sizes = {(name, RECORDS[component].num_params) for name, component in found.components.items()}
        if key in {*sizes, found.task}:
            yield at
        at = found.parent


@pytest.mark.parametrize("seed", range(10))
def test_it_finds_what_a_walk_finds(seed: int) -> None:
    """Models come, some go, and their children go to the next ancestor that is left."""
    draw = random.Random(seed)
    models = {0: model(0, None, ["a 1"])}
    ancestry = Ancestry.of(models, RECORDS)
    newest = draw.choice((1, 5, 1000))  # how far down the parents lie: a chain, or a bush
    for id in range(1, 150):
        parent = draw.choice(sorted(models)[-newest:])
        models[id] = model(id, parent, draw.sample(list(RECORDS), draw.choice((0, 0, 0, 1, 2))))
        ancestry = ancestry.changed([models[id]], RECORDS)
        if draw.random() < 0.3 and len(models) > 2:
            gone = draw.choice(sorted(models)[1:])
            above = models.pop(gone).parent
            for heir in [heir for heir in models.values() if heir.parent == gone]:
                models[heir.id] = model(heir.id, above, list(heir.components.values()))
        keys: list[Key] = [(name, size) for name in "abc" for size in (1, 2)] + [f"task{i}" for i in range(7)]
        at = draw.choice(list(models))
        for key in keys:
            expected = list(walk(models, at, key))
            assert [found for found in ancestry.having(at, key) if found in models] == expected
            assert list(Ancestry.of(models, RECORDS).having(at, key)) == expected


def test_a_long_lineage_takes_few_steps() -> None:
    models = {id: model(id, id - 1 if id else None, ["a 1"] if id % 5_000 == 0 else ["b 1"]) for id in range(10_000)}
    ancestry = Ancestry.of(models, RECORDS)

    class Counting(SortedMap[ModelId, object]):
        steps = 0

        def __getitem__(self, key: ModelId) -> object:
            Counting.steps += 1
            return super().__getitem__(key)

    counted = Ancestry(Counting(ancestry.steps))  # type: ignore[arg-type]
    assert list(counted.having(9_999, ("a", 1))) == [5_000, 0]
    assert list(counted.having(9_998, ("c", 1))) == []
    assert Counting.steps < 150  # a walk takes 20,000
