"""Reads `.npz` files of strangers: no pickles, and sizes checked from the headers before any memory is taken."""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from munet.errors import CheckpointError
from munet.vit.headers import listing, open_file

DTYPES = ("float16", "float32", "float64")

# What the readers of zip and npy raise on damaged files.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, OverflowError,
)  # fmt: skip
_MAX_ARRAYS = 4096  # ViT-L has about 400
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; others may take any amount of memory
# An npy file: magic, version, length of the header, header. NumPy reads a header of any length and evaluates it; ours
# has one form, and a length that a shape can need.
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_MAX_HEADER = 4096
_HEADER = re.compile(
    r"\{\s*(?:(?:'descr'\s*:\s*'(?P<descr>[<>|=]?[?biufcOSUVmM]\d{0,9})'"
    r"|'fortran_order'\s*:\s*(?P<order>True|False)"
    r"|'shape'\s*:\s*\((?P<shape>[\d\sL,]{0,999})\))\s*,?\s*){3}\}\s*"
)


@dataclass(frozen=True)
class ArrayHeader:
    """What an array's header says of it.

    Attributes:
      shape, dtype, fortran_order: of the array; the shape is not to be trusted until compared with what is expected.
      data_start: bytes before the data.
      info: the member of the zip file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran_order: bool
    data_start: int
    info: zipfile.ZipInfo = field(repr=False)

    @property
    def num_bytes(self) -> int:
        """Size of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Archive:
    """An open file: the headers of its arrays by key, and the arrays on request."""

    path: str
    headers: Mapping[str, ArrayHeader]
    _zip: zipfile.ZipFile = field(repr=False)

    def read(self, key: str) -> np.ndarray:
        """An array as float32 in C order. Its header must have been compared with what is expected.

        Raises:
          CheckpointError: the data are damaged.
        """
        header = self.headers[key]
        try:
            with self._zip.open(header.info) as member:
                member.read(header.data_start)
                data = member.read(header.num_bytes)  # to the end, where zipfile compares the checksum
            array = np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
        except _BROKEN as error:
            raise CheckpointError(f"{self.path} is damaged at {key} ({error}). Download or copy it again.") from error
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite: the caller looks for such
            return array.astype(np.float32, order="C")


@contextmanager
def open_npz(path: str | PurePath) -> Iterator[Archive]:
    """Opens a file and reads its headers.

    Raises:
      CheckpointError: missing, cut off or of another format, or arrays with unusable headers (all of them are listed).
    """
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise CheckpointError(
                f"{path} is not a whole .npz file ({error}): it is cut off or of another format. Download or copy it "
                "again."
            ) from error
        with archive:
            yield Archive(str(path), _headers(path, archive), archive)


def _headers(path: str | PurePath, archive: zipfile.ZipFile) -> dict[str, ArrayHeader]:
    headers: dict[str, ArrayHeader] = {}
    problems: list[str] = []
    if len(archive.infolist()) > _MAX_ARRAYS:
        raise CheckpointError(f"{path} is no checkpoint of a ViT: it holds {len(archive.infolist()):,} arrays.")
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        try:
            header = _header(archive, info)
        except _BROKEN as error:
            problems.append(f"{key}: unreadable ({error})")
            continue
        if key in headers:
            problems.append(f"{key}: is there twice")
        elif header.dtype.hasobject:
            problems.append(f"{key}: holds pickled Python objects, which are never read")
        elif header.data_start + header.num_bytes != info.file_size:
            problems.append(
                f"{key}: the header says {header.num_bytes:,} bytes of data, the file holds "
                f"{info.file_size - header.data_start:,}"
            )
        headers[key] = header
    if problems:
        raise CheckpointError(listing(f"{path} cannot be used as a checkpoint", problems))
    return headers


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArrayHeader:
    if info.compress_type not in _COMPRESSION:
        raise ValueError(f"compression type {info.compress_type}, expected none or deflate")
    with archive.open(info) as member:
        start = member.read(len(_MAGIC) + 2 + max(_LENGTH_BYTES.values()) + _MAX_HEADER)
    if not start.startswith(_MAGIC):
        raise ValueError("no npy array")
    version = tuple(start[len(_MAGIC) : len(_MAGIC) + 2])
    if version not in _LENGTH_BYTES:
        raise ValueError(f"npy format {version}, expected (1, 0) or (2, 0)")
    position = len(_MAGIC) + 2 + _LENGTH_BYTES[version]
    length = int.from_bytes(start[len(_MAGIC) + 2 : position], "little")
    text = start[position : position + length].decode("latin-1")
    if len(text) < length:
        raise ValueError(f"a header of {length:,} bytes is cut off or too long")
    shape, fortran_order, dtype = _parse(text)
    return ArrayHeader(shape, dtype, fortran_order, position + length, info)


def _parse(header: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, Fortran order and dtype.

    Raises:
      ValueError: it is no header of a plain array.
    """
    match = _HEADER.fullmatch(header)
    if match is None or None in match.groups():  # None: one of the three is there twice, and one not at all
        raise ValueError(f"no header of a plain array: {header.strip()[:80]!r}")
    descr, order, shape = match.groups()
    lengths = [length.strip().removesuffix("L") for length in shape.split(",")]  # L: written by Python 2
    if lengths[-1] == "":
        lengths.pop()
    try:
        return tuple(int(length) for length in lengths), order == "True", np.dtype(descr)
    except TypeError as error:
        raise ValueError(f"unknown type {descr!r}") from error
