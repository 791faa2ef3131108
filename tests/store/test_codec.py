"""Round trips through JSON are exact, and nothing that was not written is accepted."""

from __future__ import annotations

import json
import math
import random
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest

from munet.errors import CorruptionError
from munet.store.codec import canonical, dumps, from_json, loads, to_json
from munet.types import GenerationEntry, ModelRecord, Quality, StartEntry
from tests.store.samples import entry


@dataclass(frozen=True)
class Inner:
    number: int
    ratio: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    is_on: bool
    inner: Inner
    maybe: Inner | None
    many: tuple[Inner, ...]
    by_name: Mapping[str, Inner]
    by_id: Mapping[int, tuple[str, ...]]
    kind: Literal["a", "b"]
    value: bool | int | float | str
    anything: Mapping[str, object] = field(default_factory=dict)
    users: frozenset[str] = frozenset()


OUTER = Outer(
    "দুই",
    True,
    Inner(3),
    None,
    (Inner(1, 1 / 3), Inner(2)),
    {"z": Inner(9), "a": Inner(8)},
    {12: ("x",), -3: ()},
    "b",
    0.1,
    {"list": [1, 2.5, None, {"deep": [True]}]},
    frozenset({"q", "p"}),
)


def test_round_trip_is_exact_through_bytes() -> None:
    data = dumps(to_json(OUTER))
    back = from_json(Outer, loads(data, "test"))
    assert back == OUTER
    assert dumps(to_json(back)) == data
    assert list(back.by_name) == ["z", "a"], "mappings keep their order"


@pytest.mark.parametrize("index", [0, 1])
def test_journal_entries_round_trip(index: int) -> None:
    value = entry(index)
    assert from_json(type(value), loads(dumps(to_json(value)), "test")) == value
    assert type(value) is (StartEntry, GenerationEntry)[index]


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", 0, 0.0, False])
def test_unions_keep_the_type(value: bool | int | float | str) -> None:
    record = ModelRecord(0, None, None, {"x": value}, {})
    back = from_json(ModelRecord, loads(dumps(to_json(record)), "test")).hyperparameters["x"]
    assert type(back) is type(value)
    assert back == value


def test_floats_come_back_bit_for_bit() -> None:
    generator = random.Random(0)
    for _ in range(2000):
        (value,) = struct.unpack("<d", generator.randbytes(8))
        if math.isfinite(value):
            back = from_json(Inner, loads(dumps(to_json(Inner(1, value))), "test")).ratio
            assert struct.pack("<d", back) == struct.pack("<d", value)


def test_numbers_of_numpy_and_whole_floats_become_plain_ones() -> None:
    assert dumps(to_json(Quality(np.int64(3), np.int32(4)))) == b'{"correct":3,"counted":4}'  # type: ignore[arg-type]
    assert dumps(to_json(Inner(1, 2))) == dumps(to_json(Inner(1, np.float32(2)))) == b'{"number":1,"ratio":2.0}'  # type: ignore[arg-type]
    assert type(from_json(Inner, {"number": 1, "ratio": 2}).ratio) is float


def test_keys_are_declared_order_or_sorted() -> None:
    assert dumps(to_json(Inner(1))) == b'{"number":1,"ratio":0.5}'
    assert canonical({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":1}'


def test_text_stays_readable_and_any_file_name_survives() -> None:
    assert "দুই".encode() in dumps(to_json(OUTER))
    assert loads(dumps("bad-\udcff-name"), "test") == "bad-\udcff-name"


def changed(**changes: Any) -> dict[str, Any]:
    return {**json.loads(dumps(to_json(OUTER))), **changes}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (changed(name=1), "name: expected str, found int 1"),
        (changed(is_on=1), "is_on: expected bool"),
        (changed(inner={"number": True, "ratio": 0.5}), "inner.number: expected int"),
        (changed(inner={"number": 1.0, "ratio": 0.5}), "inner.number: expected int"),
        (changed(inner={"number": 1, "ratio": "0.5"}), "inner.ratio: expected a finite float"),
        (changed(inner={"ratio": 1}), r"inner: Inner with unknown keys \[\] and missing keys \['number'\]"),
        (changed(inner={"number": 1, "ratio": 1, "x": 1}), r"inner: Inner with unknown keys \['x'\]"),
        (changed(maybe=[]), r"maybe: expected an object \(Inner\)"),
        (changed(many=[{"number": 1, "ratio": 1}, None]), r"many\[1\]: expected an object"),
        (changed(many={}), "many: expected a list"),
        (changed(by_name=[]), "by_name: expected an object"),
        (changed(by_id={"1": ["a", 1]}), r"by_id.1\[1\]: expected str"),
        (changed(by_id={"01": []}), "by_id.01: expected a whole number as key"),
        (changed(kind="c"), "kind: expected 'a' or 'b', found str 'c'"),
        (changed(kind=["a"]), "kind: expected 'a' or 'b'"),
        (changed(value=None), "value: expected bool or int or float or str"),
        ([], r"expected an object \(Outer\)"),
    ],
)
def test_what_was_not_written_is_refused_by_place(data: object, place: str) -> None:
    with pytest.raises(CorruptionError, match=f"^FILE is not what was written: (at )?{place}"):
        from_json(Outer, data, "FILE")


def test_a_missing_field_takes_its_default_so_that_older_journals_stay_readable() -> None:
    assert from_json(Inner, {"number": 1}) == Inner(1)
    written = json.loads(dumps(to_json(entry(1))))
    assert written.pop("data_mutations") is not None
    back = from_json(GenerationEntry, written)
    assert back.data_mutations == ()
    original = entry(1)
    assert isinstance(original, GenerationEntry)
    assert back == replace(original, data_mutations=())


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[NaN]", b"[Infinity]", b"[" * 100_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptionError, match="FILE holds no valid JSON"):
        loads(data, "FILE")


@pytest.mark.parametrize(
    "value",
    [Inner(1, math.nan), Inner(1, math.inf), Inner("1"), {"a": object()}, {1: 1, "a": 2}, math.nan],  # type: ignore[arg-type]
)
def test_what_cannot_come_back_is_not_written(value: object) -> None:
    with pytest.raises(ValueError, match="cannot become JSON"):
        to_json(value)


def test_no_bytes_are_made_that_are_no_json() -> None:
    for function in (dumps, canonical):
        with pytest.raises(ValueError, match="not JSON compliant"):
            function([math.nan])


def test_thousands_of_models_take_no_time() -> None:
    record = entry(0)
    assert isinstance(record, StartEntry)
    models = dict.fromkeys(range(5000), record.root)
    begin = time.perf_counter()
    data = dumps(to_json(models))
    back = from_json(Mapping[int, ModelRecord], loads(data, "test"))  # type: ignore[type-abstract]
    assert back == models
    assert time.perf_counter() - begin < 5  # 0.15 s on a quiet machine
