"""Write-once components: one safetensors file each, named by the hash of its record and bytes.

The record lies in the file's header under the one metadata key `munet`, as canonical JSON, so that a file's bytes
follow from its component. Nothing is trusted when read: sizes are checked before allocating, the hash afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
import safetensors.numpy

from munet.errors import CorruptionError
from munet.store import low_rank
from munet.store.codec import canonical, from_json, loads, to_json
from munet.store.folders import open_folder
from munet.types import ComponentId, ComponentRecord

_SUFFIX = ".safetensors"
_ID = re.compile(r"[0-9a-f]{64}")
_METADATA_KEY = "munet"
_MAX_HEADER = 1 << 24  # bytes; a header of ours has some kilobytes
_LENGTH_BYTES = 8
_DTYPES: dict[str, tuple[str, np.dtype[Any]]] = {  # safetensors' name of the dtype, and NumPy's, by the record's
    "float64": ("F64", np.dtype("<f8")),
    "float32": ("F32", np.dtype("<f4")),
    "float16": ("F16", np.dtype("<f2")),
    "bfloat16": ("BF16", np.dtype(ml_dtypes.bfloat16)),
    "int64": ("I64", np.dtype("<i8")),
    "int32": ("I32", np.dtype("<i4")),
    "int16": ("I16", np.dtype("<i2")),
    "int8": ("I8", np.dtype("i1")),
    "uint8": ("U8", np.dtype("u1")),
    "bool": ("BOOL", np.dtype("?")),
}


def component_id(record: ComponentRecord, arrays: Mapping[str, np.ndarray]) -> ComponentId:
    """SHA-256 over a component's record and bytes, as 64 hexadecimal digits.

    Hashed are, each preceded by its length in bytes (8 bytes, big-endian): the record as canonical JSON; then for
    each leaf in the order of paths: path, dtype name, shape ("192,768"), and its elements, little-endian, in C order.

    Raises:
      ValueError: the arrays are not those that the record declares.
    """
    return _id(record, _as_declared(record, arrays))


class ComponentStore:
    """The components of a run, in the files `<id>.safetensors` of one folder.

    Args:
      path: the folder.
      check_held: refuses to remove anything for whoever does not hold the lock; None: the folder is nobody else's.
    """

    def __init__(self, path: str | os.PathLike[str], check_held: Callable[[], None] | None = None):
        self._folder = open_folder(path)
        self._check_held = check_held

    @property
    def path(self) -> str:
        """The folder that holds the files."""
        return self._folder.path

    def put(self, record: ComponentRecord, arrays: Mapping[str, np.ndarray]) -> ComponentId:
        """Publishes a component; when it is there already, that is verified instead. Atomic: all of it or nothing.

        Raises:
          ValueError: the arrays are not those that the record declares.
          CorruptionError: it is there already, but damaged.
          DiskFullError: nothing is left behind.
        """
        declared = _as_declared(record, arrays)
        identity = _id(record, declared)
        if self._folder.exists(_name(identity)):
            self.verify(identity)
            return identity
        data = safetensors.numpy.save(declared, metadata={_METADATA_KEY: canonical(to_json(record)).decode("utf-8")})
        self._folder.create(_name(identity), data)
        return identity

    def get(self, identity: ComponentId) -> tuple[ComponentRecord, dict[str, np.ndarray]]:
        """A component's record and its arrays (read-only) by path, after checking every byte against the id.

        Raises:
          CorruptionError: the file is missing or damaged; the message says what to do.
        """
        with self._open(identity) as file:
            record, spans, start = self._header(identity, file)
            file.seek(start)
            size = max((end for _, end in spans.values()), default=0)
            data = file.read(size)
        if len(data) != size:
            raise self._corrupt(identity, f"ends after {start + len(data)} of {start + size} bytes")
        arrays = {
            path: np.frombuffer(memoryview(data)[slice(*spans[path])], _DTYPES[leaf.dtype][1]).reshape(leaf.shape)
            for path, leaf in record.leaves.items()
        }
        if _id(record, arrays) != identity:
            raise self._corrupt(identity, "does not hold the bytes that its name is the hash of")
        return record, arrays

    def load(self, identity: ComponentId) -> dict[str, np.ndarray]:
        """A layer's arrays (read-only) by path, every byte checked: the one place where low-rank ones become whole.

        Raises:
          CorruptionError: as for `get`, also of its base.
        """
        record, arrays = self.get(identity)
        if record.base is None:
            return arrays
        base_record, base = self.get(record.base)
        if base_record.base is not None or not record.layer_leaves.items() <= base_record.leaves.items():
            raise self._corrupt(identity, f"has a base ({record.base[:12]}) that is no whole layer of its shapes")
        return low_rank.materialised(arrays, base)

    def record(self, identity: ComponentId) -> ComponentRecord:
        """A component's record from the file's header alone, so without checking the hash.

        Raises:
          CorruptionError: the file is missing, or its header is damaged.
        """
        with self._open(identity) as file:
            return self._header(identity, file)[0]

    def ids(self) -> set[ComponentId]:
        """Ids of all components that are there."""
        names = (name.removesuffix(_SUFFIX) for name in self._folder.names() if name.endswith(_SUFFIX))
        return {name for name in names if _ID.fullmatch(name)}

    def verify(self, identity: ComponentId) -> None:
        """Reads a component and checks every byte.

        Raises:
          CorruptionError: as for `get`.
        """
        self.get(identity)

    def delete(self, identities: Iterable[ComponentId]) -> None:
        """Removes components that nothing uses any more; those already gone are ignored.

        Raises:
          WorkdirError: another process writes to the work directory: what we do not use may be its.
        """
        if self._check_held is not None:
            self._check_held()
        self._folder.delete([_name(identity) for identity in identities])

    def _open(self, identity: ComponentId) -> Any:
        if not _ID.fullmatch(identity):
            raise CorruptionError(f"{identity!r} is no component id: expected 64 hexadecimal digits.")
        try:
            return self._folder.open(_name(identity))
        except FileNotFoundError:
            raise self._corrupt(identity, "is missing") from None

    def _header(self, identity: ComponentId, file: BinaryIO) -> tuple[ComponentRecord, dict[str, tuple[int, int]], int]:
        """Record, byte range of each leaf within the data, and where the data starts; all checked for agreement."""
        total = file.seek(0, os.SEEK_END)
        file.seek(0)
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        start = _LENGTH_BYTES + length
        if length > _MAX_HEADER or start > total:
            raise self._corrupt(identity, f"declares a header of {length} bytes in a file of {total}")
        location = self._folder.location(_name(identity))
        header = loads(file.read(length), f"The header of component {identity[:12]} in {location}")
        if not isinstance(header, dict):
            raise self._corrupt(identity, "has a header that is no object")
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or not isinstance(metadata.get(_METADATA_KEY), str):
            raise self._corrupt(identity, f"has no record (metadata key {_METADATA_KEY!r})")
        where = f"The record of component {identity[:12]} in {location}"
        record = from_json(ComponentRecord, loads(metadata[_METADATA_KEY].encode("utf-8", "replace"), where), where)
        spans, end = self._spans(identity, record, header)
        if start + end != total:
            raise self._corrupt(identity, f"has {total} bytes, its record means {start + end}")
        return record, spans, start

    def _spans(
        self, identity: ComponentId, record: ComponentRecord, header: dict[str, Any]
    ) -> tuple[dict[str, tuple[int, int]], int]:
        """Byte range of each leaf and the end of the last one; they must lie side by side, as safetensors demands."""
        if header.keys() != record.leaves.keys():
            raise self._corrupt(identity, "has other arrays than its record names")
        spans: dict[str, tuple[int, int]] = {}
        for path, leaf in record.leaves.items():
            if leaf.dtype not in _DTYPES or any(length < 0 for length in leaf.shape):
                raise self._corrupt(identity, f"has a leaf {path} of dtype {leaf.dtype}, shape {leaf.shape}")
            name, dtype = _DTYPES[leaf.dtype]
            tensor = header[path]
            offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
            if tensor != {"dtype": name, "shape": list(leaf.shape), "data_offsets": offsets}:
                raise self._corrupt(identity, f"has a header and a record that disagree about {path}")
            match offsets:
                case [int(first), int(last)] if first >= 0 and last - first == leaf.size * dtype.itemsize:
                    spans[path] = (first, last)
                case _:
                    raise self._corrupt(identity, f"has the wrong number of bytes for {path}")
        end = 0
        for first, last in sorted(spans.values()):
            if first != end:
                raise self._corrupt(identity, "has arrays that overlap or leave gaps")
            end = last
        return spans, end

    def _corrupt(self, identity: ComponentId, problem: str) -> CorruptionError:
        return CorruptionError(
            f"Component {identity}: {self._folder.location(_name(identity))} {problem}.",
            "Restore this file from a copy of the work directory, or start again in a new one.",
        )


def _name(identity: ComponentId) -> str:
    return identity + _SUFFIX


def _as_declared(record: ComponentRecord, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays as little-endian C-order ones, after checking that they are what the record declares."""
    problems = [f"{path} is missing" for path in sorted(record.leaves.keys() - arrays.keys())]
    problems += [f"{path} is not declared" for path in sorted(arrays.keys() - record.leaves.keys())]
    declared: dict[str, np.ndarray] = {}
    for path in sorted(record.leaves.keys() & arrays.keys()):
        leaf, array = record.leaves[path], np.asarray(arrays[path], order="C")
        if leaf.dtype not in _DTYPES:
            problems.append(f"{path}: dtype {leaf.dtype} cannot be stored; one of {', '.join(_DTYPES)} can")
        elif (array.dtype.name, array.shape) != (leaf.dtype, tuple(leaf.shape)):
            problems.append(f"{path}: declared {leaf.dtype} {leaf.shape}, given {array.dtype.name} {array.shape}")
        else:
            declared[path] = array.astype(_DTYPES[leaf.dtype][1], copy=False)
    if problems:
        raise ValueError(f"Arrays and record of component {record.name!r} disagree: " + "; ".join(problems) + ".")
    return declared


def _id(record: ComponentRecord, arrays: Mapping[str, np.ndarray]) -> ComponentId:
    hasher = hashlib.sha256()

    def add(part: bytes | memoryview) -> None:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)

    add(canonical(to_json(record)))
    for path in sorted(record.leaves):
        array, leaf = arrays[path], record.leaves[path]
        for text in (path, leaf.dtype, ",".join(map(str, leaf.shape))):
            add(text.encode("utf-8"))
        add(array.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
