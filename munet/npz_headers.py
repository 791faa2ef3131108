"""Headers of the arrays in `.npz` files of strangers, read before any of their data: no pickles, no size is believed.

NumPy reads a header of any length and evaluates it, and takes the memory that it asks for.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field

import numpy as np

# What the readers of zip and npy raise on damaged files.
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, OverflowError,
)  # fmt: skip
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; others may take any amount of memory
# An npy file: magic, version, length of the header, header. Ours has one form, and a length that a shape can need.
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


def header_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArrayHeader:
    """The header of an array.

    Raises:
      ValueError, or another of `BROKEN`: it is no array as NumPy writes them, or damaged.
    """
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
