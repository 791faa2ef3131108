"""Random and damaged checkpoints: each is refused with a message of ours or gives a sound root; never anything else.

The slow forms run 12,000 examples for each format, in three kinds; the fast ones 180.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from munet import rng
from munet.errors import CheckpointError
from munet.roots.checkpoint import open_local
from munet.vit.architecture import component_leaves, get_variant, path_names
from munet.vit.augreg import save_augreg
from munet.vit.init import init_component
from tests.vit import foreign_weights

SLOW, FAST = 4_000, 60
_MAX_MEMORY = 64 << 20  # bytes at any moment; the valid files have 0.4 MB
_HUGE = [0, 1, -1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64, 10**30]


@cache
def valid_npz() -> bytes:
    """A root of one block."""
    variant = get_variant("demo/16")
    components = {}
    for name in path_names(1):
        leaves = component_leaves(variant, name, image_size=32, adapter_dim=0, num_classes=2)
        components[name] = init_component(rng.key_data(("fuzz", name)), variant, name, leaves)
    file = io.BytesIO()
    save_augreg(file, components)  # type: ignore[arg-type]  # zipfile takes a file, too
    return file.getvalue()


@cache
def valid_safetensors() -> bytes:
    return bytes(safetensors.numpy.save(foreign_weights.timm_state()))


def judge(suffix: str, data: bytes) -> bool:
    """Whether the file gives a root; anything but a root or a `CheckpointError` fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        path.write_bytes(data)
        tracemalloc.start()
        try:
            found = open_local("fuzz", path)
            components = found.load(1, 48)
        except CheckpointError as error:
            _check_message(str(error))
            return False
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < _MAX_MEMORY, peak
    variant = found.variant
    for name in path_names(1)[:-1]:
        leaves = component_leaves(variant, name, image_size=48, adapter_dim=0, num_classes=0)
        assert {path: array.shape for path, array in components[name].items()} == {
            path: leaf.shape for path, leaf in leaves.items()
        }
        for array in components[name].values():
            assert array.dtype == np.float32
            assert np.isfinite(array).all()
    return True


def _check_message(message: str) -> None:
    assert 0 < len(message) < 20_000


# What happens to a whole file: bytes changed (more often where headers are), cut, doubled, moved.
def _places(size: int, ends: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, ends), st.integers(size - ends, size - 1), st.integers(0, size - 1))


@st.composite
def damaged(draw: st.DrawFn, valid: Callable[[], bytes], ends: int) -> bytes:
    """A valid file after one to six accidents."""
    data = bytearray(valid())
    for _ in range(draw(st.integers(1, 6))):
        place = draw(_places(max(len(data), 2 * ends + 2), ends)) % max(len(data), 1)
        kind = draw(st.sampled_from(["change", "insert", "remove", "cut", "repeat"]))
        some = draw(st.binary(min_size=1, max_size=9))
        if kind == "change":
            data[place : place + len(some)] = some
        elif kind == "insert":
            data[place:place] = some
        elif kind == "remove":
            del data[place : place + draw(st.integers(1, 300))]
        elif kind == "cut":
            del data[place:]
        else:
            data[place:place] = data[place : place + draw(st.integers(1, 2000))]
    return bytes(data)


# Files whose structure is sound and whose contents lie.
SHAPES = st.lists(st.one_of(st.integers(0, 70), st.sampled_from(_HUGE)), max_size=5)
NPY_TYPES = st.sampled_from(
    ["<f4", ">f4", "<f2", "<f8", "<i4", "|O", "|S3", "<U9", "<V8", "<f99999", "?", "<M8[ns]", ""]
)
VALUES = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 0.0, 1.0])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(_HUGE)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=6,
)


def npy(descr: str, order: str, shape: str, length: int | None, body: bytes, version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode("utf-8", "replace")
    size = 2 if version == b"\x01\x00" else 4
    declared = len(header) if length is None else length % (1 << 8 * size)
    return b"\x93NUMPY" + version + declared.to_bytes(size, "little") + header + body


@st.composite
def lying_npz(draw: st.DrawFn) -> bytes:
    """A zip file of the right names in which some arrays are others than they say."""
    file = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),  # of numbers too large for a type, of names that are there twice
        zipfile.ZipFile(io.BytesIO(valid_npz())) as whole,
        zipfile.ZipFile(file, "w") as target,
    ):
        names = whole.namelist()
        changed = draw(st.sets(st.sampled_from(names), min_size=1, max_size=3))
        for name in names:
            member, data = draw_name(draw, name) if name in changed else name, whole.read(name)
            if name in changed:
                kind = draw(st.sampled_from(["array", "header", "bytes", "bomb", "absent"]))
                if kind == "absent":
                    continue
                data = _lie(draw, kind, data)
            how = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])) if changed else 0
            target.writestr(zipfile.ZipInfo(member), data, how if name in changed else zipfile.ZIP_STORED, 1)
    return file.getvalue()


def draw_name(draw: st.DrawFn, name: str) -> str:
    """Mostly the name itself."""
    return draw(st.one_of(st.just(name), st.just(name), st.text(min_size=1, max_size=30))) or name


def _lie(draw: st.DrawFn, kind: str, data: bytes) -> bytes:
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "array":
        array = np.load(io.BytesIO(data))
        array.flat[draw(st.integers(0, array.size - 1))] = draw(VALUES)
        out = io.BytesIO()
        np.save(out, draw(st.sampled_from([array, array.astype(">f4"), array.astype("f2"), np.asfortranarray(array)])))
        return out.getvalue()
    shape = draw(st.one_of(SHAPES.map(tuple).map(str), st.sampled_from(["(3L,)", "()", "(((", "(" * 500, "-" * 3000])))
    body = bytes(1 << 18) if kind == "bomb" else draw(st.binary(max_size=64))
    return npy(
        draw(NPY_TYPES), draw(st.sampled_from(["True", "False", "0", "None"])), shape,
        draw(st.one_of(st.none(), st.sampled_from(_HUGE))), body,
        draw(st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00"])),
    )  # fmt: skip


@st.composite
def lying_safetensors(draw: st.DrawFn) -> bytes:
    """A safetensors file whose header says other things than is true."""
    data = bytearray(valid_safetensors())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for key in draw(st.sets(st.sampled_from(sorted(header)), min_size=1, max_size=3)):
        kind = draw(st.sampled_from(["shape", "dtype", "offsets", "other", "rename", "prefix", "value", "swap"]))
        entry: Any = header[key]
        if kind == "shape":
            entry["shape"] = draw(st.one_of(SHAPES, JSON))
        elif kind == "dtype":
            entry["dtype"] = draw(st.sampled_from(["F16", "BF16", "F64", "I32", "I8", "F8_E4M3", "", 3]))
        elif kind == "offsets":
            entry["data_offsets"] = draw(st.one_of(st.lists(st.sampled_from(_HUGE), max_size=3), JSON))
        elif kind == "other":
            header[key] = draw(JSON)
        elif kind == "rename":
            header[draw(st.text(max_size=20))] = header.pop(key)
        elif kind == "prefix":
            header["model." + key] = header.pop(key)
        elif kind == "swap":
            entry["shape"] = entry["shape"][::-1]
        else:
            start = 8 + length + entry["data_offsets"][0]
            data[start : start + 4] = np.array(draw(VALUES)).astype("f4").tobytes()
    if draw(st.booleans()):
        header["__metadata__"] = draw(JSON)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    declared = draw(st.sampled_from([len(text)] * 6 + [0, 1, 2**40, 2**63, len(text) + 7]))
    return declared.to_bytes(8, "little") + text + bytes(data[8 + length :])


FILES: dict[str, tuple[str, st.SearchStrategy[bytes]]] = {
    "npz, damaged": (".npz", damaged(valid_npz, 4000)),
    "npz, lying": (".npz", lying_npz()),
    "npz, random": (
        ".npz",
        st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"PK\x03\x04" + b)),
    ),
    "safetensors, damaged": (".safetensors", damaged(valid_safetensors, 3000)),
    "safetensors, lying": (".safetensors", lying_safetensors()),
    "safetensors, random": (
        ".safetensors",
        st.one_of(
            st.binary(max_size=300),
            st.binary(max_size=200).map(lambda b: len(b).to_bytes(8, "little") + b),
            JSON.map(lambda value: json.dumps(value).encode()).map(lambda b: len(b).to_bytes(8, "little") + b),
        ),
    ),
}


@dataclass
class _File:
    """Shown shortened where a test fails: Hypothesis finds the same one again."""

    data: bytes

    def __repr__(self) -> str:
        return f"{len(self.data):,} bytes, {hashlib.sha256(self.data).hexdigest()[:12]}: {self.data[:2000]!r}"


def fuzz(kind: str, examples: int) -> None:
    suffix, files = FILES[kind]

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(files.map(_File))
    def run(file: _File) -> None:
        judge(suffix, file.data)

    run()


def test_the_files_that_are_changed_are_valid() -> None:
    assert judge(".npz", valid_npz())
    assert judge(".safetensors", valid_safetensors())


@pytest.mark.parametrize("declared", [80 << 20, 64])
def test_a_bomb_is_not_unpacked(declared: int) -> None:
    """80 MiB of header, or of data behind a small header, in a small file."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cls.npy", "w") as member,
    ):
        member.write(b"\x93NUMPY\x02\x00" + declared.to_bytes(4, "little"))
        member.write(b"{'descr': '<f4', 'fortran_order': False, 'shape': (20971520,)}".ljust(64))
        for _ in range(80):
            member.write(bytes(1 << 20))
    assert len(file.getvalue()) < 1 << 20
    assert not judge(".npz", file.getvalue())


@pytest.mark.parametrize("kind", FILES)
def test_some_files(kind: str) -> None:
    fuzz(kind, FAST)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FILES)
def test_thousands_of_files(kind: str) -> None:
    fuzz(kind, SLOW)
