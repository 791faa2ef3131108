"""Components: an id for record and bytes, one immutable file each, and nothing damaged is ever returned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from munet.errors import CorruptionError
from munet.store import ComponentStore, component_id
from munet.types import ComponentRecord, Leaf
from tests.store.samples import Component, component


def varied() -> tuple[ComponentRecord, dict[str, np.ndarray]]:
    """Every dtype, and the shapes that are easily lost: none, empty, not in C order, big-endian."""
    arrays = {
        "f32": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "f64": np.array([np.nan, -0.0, np.inf]),
        "scalar": np.array(3, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "bf16": np.array([1.5, -2], ml_dtypes.bfloat16),
        "big": np.arange(3, dtype=">i4"),
        "bool": np.array([True, False]),
        "u8": np.arange(5, dtype=np.uint8)[::2],
    }
    leaves = {path: Leaf(array.shape, array.dtype.name) for path, array in arrays.items()}
    return ComponentRecord("odd", leaves, "root"), arrays


@pytest.fixture
def store(tmp_path: Path) -> ComponentStore:
    return ComponentStore(tmp_path / "components")


def file_of(store: ComponentStore, identity: str) -> Path:
    return Path(store.path) / f"{identity}.safetensors"


@pytest.mark.parametrize("make", [lambda: component(1), varied])
def test_what_is_put_comes_back_bit_for_bit(store: ComponentStore, make: Callable[[], Component]) -> None:
    record, arrays = make()
    identity = store.put(record, arrays)
    assert identity == component_id(record, arrays)
    assert store.ids() == {identity}
    found, loaded = store.get(identity)
    assert found == store.record(identity) == record
    assert list(loaded) == sorted(arrays)
    for path, array in arrays.items():
        assert loaded[path].shape == array.shape
        assert loaded[path].dtype.name == array.dtype.name
        assert loaded[path].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()
        assert not loaded[path].flags.writeable


def test_other_programs_can_read_it(store: ComponentStore) -> None:
    record, arrays = component(1)
    loaded = safetensors.numpy.load_file(file_of(store, store.put(record, arrays)))
    assert loaded.keys() == arrays.keys()
    assert all(np.array_equal(loaded[path], arrays[path]) for path in arrays)


def test_the_id_is_the_documented_hash() -> None:
    record, arrays = component(3)
    text = (
        '{"cycles":{"mnist":3},"leaves":{"bias":{"dtype":"float32","shape":[6]},"kernel":{"dtype":"float32",'
        '"shape":[4,6]}},"model":3,"name":"head","origin":"init","parent":null}'
    )
    parts = [text.encode()]
    for path, shape in (("bias", b"6"), ("kernel", b"4,6")):
        parts += [path.encode(), b"float32", shape, arrays[path].tobytes()]
    expected = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
    assert component_id(record, arrays) == expected


def test_the_id_follows_from_record_and_bytes_alone() -> None:
    record, arrays = component(1)
    identity = component_id(record, arrays)
    turned = {path: np.asfortranarray(arrays[path]) for path in sorted(arrays, reverse=True)}
    reordered = replace(record, leaves=dict(reversed(list(record.leaves.items()))))
    assert component_id(reordered, turned) == identity
    others = [
        replace(record, name="x"),
        replace(record, origin="clone"),
        replace(record, parent=identity),
        replace(record, model=2),
        replace(record, cycles={"mnist": 2}),
    ]
    assert len({component_id(other, arrays) for other in others} | {identity}) == len(others) + 1
    arrays["bias"] = np.nextafter(arrays["bias"], np.float32(2))
    assert component_id(record, arrays) != identity
    renamed = {"a": arrays["kernel"], "b": arrays["bias"]}
    assert component_id(replace(record, leaves={"a": Leaf((4, 6)), "b": Leaf((6,))}), renamed) != identity


def test_putting_twice_writes_once(store: ComponentStore) -> None:
    record, arrays = component(1)
    identity = store.put(record, arrays)
    before = file_of(store, identity).stat()
    assert store.put(record, arrays) == identity
    after = file_of(store, identity).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_files_are_the_same_bytes_wherever_they_are_made(store: ComponentStore, tmp_path: Path) -> None:
    record, arrays = varied()
    other = ComponentStore(tmp_path / "other")
    reordered = replace(record, leaves=dict(reversed(list(record.leaves.items()))))
    identity = store.put(record, arrays)
    assert other.put(reordered, dict(reversed(list(arrays.items())))) == identity
    assert file_of(other, identity).read_bytes() == file_of(store, identity).read_bytes()


def test_equal_bytes_of_different_descent_stay_apart(store: ComponentStore) -> None:
    record, arrays = component(1)
    first = store.put(record, arrays)
    second = store.put(replace(record, parent=first, origin="clone"), arrays)
    assert store.ids() == {first, second}


def test_deleting_is_repeatable(store: ComponentStore) -> None:
    store.delete(["0" * 64])
    first, second = (store.put(*component(index)) for index in (1, 2))
    store.delete([first, "0" * 64])
    store.delete([first])
    assert store.ids() == {second}
    with pytest.raises(CorruptionError, match="is missing"):
        store.get(first)


def test_other_files_are_not_components(store: ComponentStore) -> None:
    identity = store.put(*component(1))
    for name in ("README.md", "abc.safetensors", f".tmp-1-{identity}.safetensors", f"{identity}.bin"):
        (Path(store.path) / name).write_bytes(b"")
    assert store.ids() == {identity}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": np.zeros((6, 4), np.float32)}, r"kernel: declared float32 \(4, 6\), given float32 \(6, 4\)"),
        ({"kernel": np.zeros((4, 6))}, "given float64"),
        ({"extra": np.zeros(1, np.float32)}, "extra is not declared"),
        ({"bias": None}, "bias is missing"),
    ],
)
def test_arrays_that_the_record_does_not_declare_are_refused(
    store: ComponentStore, changes: dict[str, np.ndarray | None], message: str
) -> None:
    record, arrays = component(1)
    given = {path: array for path, array in {**arrays, **changes}.items() if array is not None}
    for function in (store.put, component_id):
        with pytest.raises(ValueError, match=message):
            function(record, given)
    assert not store.ids()


def test_a_dtype_that_cannot_be_stored_is_named(store: ComponentStore) -> None:
    record = ComponentRecord("x", {"c": Leaf((1,), "complex64")}, "init")
    with pytest.raises(ValueError, match="complex64 cannot be stored"):
        store.put(record, {"c": np.zeros(1, np.complex64)})


def with_header(data: bytes, change: Callable[[dict[str, dict[str, object]]], object]) -> bytes:
    """The file with its header changed, everything else in order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def enlarged(header: dict[str, dict[str, object]]) -> None:
    """A header and a record that agree on an array of a terabyte."""
    record = json.loads(str(header["__metadata__"]["munet"]))
    record["leaves"]["kernel"]["shape"] = header["kernel"]["shape"] = [1 << 38]
    header["kernel"]["data_offsets"] = [0, 1 << 40]
    header["bias"]["data_offsets"] = [1 << 40, (1 << 40) + 24]
    header["__metadata__"]["munet"] = json.dumps(record)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the last array": lambda data: flipped(data, len(data) - 1),
    "a bit of the record": lambda data: data.replace(b'\\"model\\":1', b'\\"model\\":3'),
    "truncated in the data": lambda data: data[:-1],
    "truncated in the header": lambda data: data[:50],
    "truncated to nothing": lambda data: b"",
    "longer": lambda data: data + b"\0",
    "huge header": lambda data: (1 << 62).to_bytes(8, "little") + data[8:],
    "header beyond the file": lambda data: (len(data)).to_bytes(8, "little") + data[8:],
    "header above the limit": lambda data: (1 << 25).to_bytes(8, "little") + bytes(1 << 25),
    "header no JSON": lambda data: flipped(data, 8),
    "header a list": lambda data: (2).to_bytes(8, "little") + b"[]",
    "header deeply nested": lambda data: (1 << 20).to_bytes(8, "little") + b"[" * (1 << 20),
    "no record": lambda data: with_header(data, lambda header: header.pop("__metadata__")),
    "a foreign record": lambda data: with_header(data, lambda header: header["__metadata__"].update(munet="{}")),
    "another dtype": lambda data: with_header(data, lambda header: header["bias"].update(dtype="I32")),
    "another shape": lambda data: with_header(data, lambda header: header["bias"].update(shape=[3, 2])),
    "array names": lambda data: with_header(data, lambda header: header.update(other=header["bias"])),
    "negative offsets": lambda data: with_header(data, lambda header: header["bias"].update(data_offsets=[-24, 0])),
    "offsets no numbers": lambda data: with_header(
        data, lambda header: header["bias"].update(data_offsets=["0", "24"])
    ),
    "overlapping arrays": lambda data: with_header(data, lambda header: header["kernel"].update(data_offsets=[0, 96])),
    "a gap": lambda data: with_header(data + bytes(4), lambda header: header["kernel"].update(data_offsets=[28, 124])),
    "a terabyte": lambda data: with_header(data, enlarged),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(store: ComponentStore, damage: str) -> None:
    record, arrays = component(1)
    identity = store.put(record, arrays)
    path = file_of(store, identity)
    before = path.read_bytes()
    path.write_bytes(DAMAGES[damage](before))
    assert path.read_bytes() != before
    for function in (store.get, store.verify):
        with pytest.raises(CorruptionError) as caught:
            function(identity)
        assert identity[:12] in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(CorruptionError):  # putting it again does not hide the damage
        store.put(record, arrays)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("header above the limit", "declares a header of 33554432 bytes"),
        ("overlapping arrays", "arrays that overlap or leave gaps"),
        ("a gap", "arrays that overlap or leave gaps"),
        ("a terabyte", r"bytes, its record means 1099511\d+"),
    ],
)
def test_damage_is_found_before_anything_is_allocated(store: ComponentStore, damage: str, message: str) -> None:
    identity = store.put(*component(1))
    path = file_of(store, identity)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(CorruptionError, match=message):
        store.record(identity)  # the header alone


def test_every_flipped_bit_is_found(store: ComponentStore) -> None:
    identity = store.put(*component(1, size=1))
    path = file_of(store, identity)
    data = path.read_bytes()
    generator = np.random.Generator(np.random.PCG64(0))
    start = 8 + int.from_bytes(data[:8], "little")
    for position in generator.integers(0, len(data), 200):
        # Blanks between header and data are no part of a component: safetensors pads with them.
        if start - 8 <= position < start and data[position : position + 1] == b" ":
            continue
        path.write_bytes(flipped(data, int(position)))
        with pytest.raises(CorruptionError):
            store.get(identity)
    path.write_bytes(data)
    store.verify(identity)


def test_a_file_under_another_name_is_refused(store: ComponentStore) -> None:
    first, second = (store.put(*component(index)) for index in (1, 2))
    file_of(store, first).write_bytes(file_of(store, second).read_bytes())
    with pytest.raises(
        CorruptionError, match=r"does not hold the bytes that its name is the hash of.*Restore this file"
    ):
        store.get(first)


@pytest.mark.parametrize("identity", ["", "abc", "../" + "0" * 61, "G" * 64])
def test_what_is_no_id_opens_no_file(store: ComponentStore, identity: str) -> None:
    with pytest.raises(CorruptionError, match="is no component id"):
        store.get(identity)
