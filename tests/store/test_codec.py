"""Round trips through JSON are exact, and nothing that was not written is accepted."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import struct
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from munet.errors import CorruptionError
from munet.store import Store
from munet.store.codec import canonical, dumps, from_json, loads, to_json
from munet.system import replay
from munet.types import ComponentRecord, GenerationEntry, ModelRecord, Position, Quality, StartEntry
from tests.store.samples import entry

OLD_RUNS = Path(__file__).parents[1] / "fixtures" / "runs_0.3.0.tar.xz"


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
    odd = replace(OUTER, name="bad-\udcff-name")
    assert from_json(Outer, loads(dumps(to_json(odd)), "test")) == odd


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
        (
            changed(inner={"number": 1, "ratio": 1, "x": 1}),
            r"inner: Inner with unknown keys \['x'\] and missing keys \[\]",
        ),
        (changed(inner={"number": 1, "ratio": math.inf}), "inner.ratio: expected a finite float, found float inf"),
        (changed(maybe=[]), r"maybe: expected Inner \| None, found list \[\]"),
        (changed(many=[{"number": 1, "ratio": 1}, None]), r"many\[1\]: expected Inner, found NoneType None"),
        (changed(many={}), r"many: expected tuple\[Inner, ...\], found dict {}"),
        (changed(by_name=[]), r"by_name: expected Mapping\[str, Inner\], found list"),
        (changed(by_name={"a": {"number": 1}, "b": {"number": "1"}}), "by_name.b.number: expected int, found str '1'"),
        (changed(by_id={"1": ["a", 1]}), r"by_id.1\[1\]: expected str"),
        (changed(by_id={"01": []}), "by_id.01: expected a whole number as key"),
        (changed(kind="c"), "kind: expected 'a' or 'b', found str 'c'"),
        (changed(kind=["a"]), "kind: expected 'a' or 'b'"),
        (changed(value=None), r"value: expected bool \| int \| float \| str, found NoneType None"),
        (changed(value=math.nan), r"value: expected bool \| int \| float \| str, found float nan"),
        ([], r"expected Outer, found list \[\]"),
    ],
)
def test_what_was_not_written_is_refused_by_place(data: object, place: str) -> None:
    with pytest.raises(CorruptionError, match=f"^FILE is not what was written: (at )?{place}"):
        from_json(Outer, data, "FILE")


@dataclass(frozen=True)
class Sparse:
    number: int
    written: int | None = None
    left_out: float | None = field(default=None, metadata={"omit_default": True})
    words: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    text: str = field(default="", metadata={"omit_default": True})


def test_defaults_are_written_unless_the_field_says_otherwise() -> None:
    assert to_json(Sparse(1)) == {"number": 1, "written": None}
    assert from_json(Sparse, {"number": 1}) == Sparse(1)
    full = Sparse(1, 2, 3.0, ("a",), "b")
    assert to_json(full) == {"number": 1, "written": 2, "left_out": 3.0, "words": ["a"], "text": "b"}
    assert from_json(Sparse, to_json(full)) == full


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


@pytest.fixture(scope="module")
def old_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directories of munet 0.3.0."""
    folder = tmp_path_factory.mktemp("old_runs")
    with tarfile.open(OLD_RUNS) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_what_an_older_version_wrote_is_written_again_to_the_same_bytes(old_runs: Path, name: str) -> None:
    workdir = old_runs / name
    journal = Store(workdir).journal
    kinds = []
    for file, value in zip(sorted((workdir / "journal").iterdir()), journal.entries(), strict=True):
        content = loads(file.read_bytes(), file.name)
        assert dumps({**content, "entry": to_json(value)}) + b"\n" == file.read_bytes()
        kinds.append(content["kind"])
    assert set(kinds) == {"start", "generation", "phase"}

    snapshots = sorted((workdir / "snapshots").iterdir())
    assert snapshots
    for file in snapshots:  # they say nothing of where models were measured, and are folded anew, once
        _, body = file.read_bytes().splitlines(keepends=True)
        with pytest.raises(CorruptionError, match="no state of a run as this version of munet writes it"):
            replay.from_json(loads(body, file.name))

    components = sorted((workdir / "components").iterdir())
    assert len(components) >= 15
    for file in components:
        with file.open("rb") as opened:
            header = loads(opened.read(int.from_bytes(opened.read(8), "little")), file.name)
        written = header["__metadata__"]["munet"].encode()
        assert canonical(to_json(from_json(ComponentRecord, loads(written, file.name)))) == written


def test_what_lacked_a_field_is_written_as_what_has_its_default(old_runs: Path) -> None:
    """As an older version wrote it: hashes over what is written again must not depend on where it came from."""
    dropped = 0
    for entry_of_old in Store(old_runs / "finished").journal.entries():
        written = to_json(entry_of_old)
        for item in dataclasses.fields(entry_of_old):
            if item.default is not dataclasses.MISSING and item.name in written:
                older = from_json(type(entry_of_old), {name: written[name] for name in written if name != item.name})
                assert to_json(older) == to_json(dataclasses.replace(older)), item.name
                dropped += 1
    assert dropped > 10
    assert to_json(from_json(Position, {})) == to_json(Position())


def test_thousands_of_models_take_no_time() -> None:
    record = entry(0)
    assert isinstance(record, StartEntry)
    models = dict.fromkeys(range(5000), record.root)
    begin = time.process_time()
    data = dumps(to_json(models))
    back = from_json(Mapping[int, ModelRecord], loads(data, "test"))  # type: ignore[type-abstract]
    assert back == models
    assert time.process_time() - begin < 5  # 0.15 s on a quiet machine
