"""Reads safetensors files of strangers: shapes, types and sizes are checked in the header before memory is taken."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, Any

import ml_dtypes
import numpy as np

from munet.errors import CheckpointError
from munet.vit.headers import listing, open_file

# NumPy's type by the format's name, for those that become float32.
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
# Bytes of an element of the others: they may be there (a counter, a mask), but are never read.
_OTHER_SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8}
_LENGTH_BYTES = 8
_MAX_HEADER = 1 << 20  # bytes; that of ViT-L has 60,000
_MAX_AXES = 32


@dataclass(frozen=True)
class Tensor:
    """What the header says of a tensor, checked against the file's size.

    Attributes:
      shape: as declared; not to be trusted until compared with what is expected.
      dtype: the format's name, e.g. `BF16`.
      start, end: bytes in the file.
    """

    shape: tuple[int, ...]
    dtype: str
    start: int
    end: int


@dataclass(frozen=True)
class TensorFile:
    """An open file: what its header says, and the tensors on request.

    Attributes:
      path: of the file.
      tensors: by key.
      metadata: the header's own text values.
    """

    path: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    _file: IO[bytes] = field(repr=False)

    def read(self, key: str) -> np.ndarray:
        """A tensor as float32 in C order. Its header must have been compared with what is expected.

        Raises:
          CheckpointError: it cannot be read.
        """
        tensor = self.tensors[key]
        try:
            self._file.seek(tensor.start)
            data = self._file.read(tensor.end - tensor.start)
            array = np.frombuffer(data, DTYPES[tensor.dtype]).reshape(tensor.shape)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path} is damaged at {key} ({error}). Download or copy it again.") from error
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite: the caller looks for such
            return array.astype(np.float32, order="C")


@contextmanager
def open_tensors(path: str | PurePath) -> Iterator[TensorFile]:
    """Opens a safetensors file and reads its header.

    Raises:
      CheckpointError: missing, cut off or of another format, or a header that does not describe the file.
    """
    with open_file(path) as file:
        try:
            header, start, total = _header(file)
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is not a whole safetensors file ({error}): it is cut off or of another format. Download or "
                "copy it again."
            ) from error
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            metadata = {}
        tensors = _tensors(path, header, start, total)
        yield TensorFile(str(path), tensors, {name: str(text) for name, text in metadata.items()}, file)


def _header(file: IO[bytes]) -> tuple[dict[str, Any], int, int]:
    """The header, where the data start, and the file's size.

    Raises:
      ValueError: there is none.
    """
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if start > total:
        raise ValueError(f"a header of {length:,} bytes in a file of {total:,}")
    if length > _MAX_HEADER:
        raise ValueError(f"a header of {length:,} bytes, at most {_MAX_HEADER:,} are read")
    header = json.loads(file.read(length), object_pairs_hook=_without_repetition)
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
    return header, start, total


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name is in the header twice")
    return result


def _tensors(path: str | PurePath, header: Mapping[str, Any], start: int, total: int) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    problems: list[str] = []
    for key, entry in header.items():
        try:
            tensors[key] = _tensor(entry, start)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    end = start
    for key, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != end and not problems:
            problems.append(f"{key}: its data overlap with others or leave a gap")
        end = tensor.end
    if end != total and not problems:
        problems.append(f"the header describes {end:,} bytes, the file has {total:,}: it is cut off or damaged")
    if problems:
        raise CheckpointError(listing(f"{path} cannot be used as a checkpoint", problems))
    return tensors


def _tensor(entry: Any, start: int) -> Tensor:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [first, last]}:
            pass
        case _:
            raise ValueError("the header gives no dtype, shape and data_offsets")
    numbers = [*shape, first, last]
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers) or len(shape) > _MAX_AXES:
        raise ValueError(f"no valid shape and data_offsets: {shape[:8]}, {first}, {last}")
    size = DTYPES[dtype].itemsize if dtype in DTYPES else _OTHER_SIZES.get(dtype)
    if size is None:
        raise ValueError(f"type {dtype}, expected one of {', '.join(DTYPES)}")
    if math.prod(shape) * size != last - first:
        raise ValueError(f"{dtype} of shape {tuple(shape)} in {last - first:,} bytes")
    return Tensor(tuple(shape), dtype, start + first, start + last)
