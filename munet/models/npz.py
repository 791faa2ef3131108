"""Reads `.npz` files of strangers: no pickles, and sizes checked from the headers before any memory is taken."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO

import numpy as np
from etils import epath

from munet.errors import CheckpointError, nearest

DTYPES = ("float16", "float32", "float64")

# What the readers of zip and npy raise on damaged files.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, OSError, ValueError, RuntimeError,
    OverflowError,
)  # fmt: skip
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Header:
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
    headers: Mapping[str, Header]
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
    with _open(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise CheckpointError(
                f"{path} is not a whole .npz file ({error}): it is cut off or of another format. Download or copy it "
                "again."
            ) from error
        with archive:
            yield Archive(str(path), _headers(path, archive), archive)


def listing(head: str, problems: Iterable[str]) -> str:
    """One message of several problems, sorted."""
    return "\n  - ".join([f"{head}:", *sorted(problems)])


def _open(path: str | PurePath) -> IO[bytes]:
    place = epath.Path(path)
    try:
        file: IO[bytes] = place.open("rb")
    except FileNotFoundError:
        folder = place.parent
        if not folder.is_dir():
            raise CheckpointError(f"There is no checkpoint {path}: the folder {folder} does not exist.") from None
        files = [file.name for file in folder.iterdir() if file.suffix == ".npz"]
        raise CheckpointError(f"There is no checkpoint {path}. {nearest(place.name, files)}") from None
    except (OSError, ImportError) as error:  # ImportError: a remote place without the package that reads it
        raise CheckpointError(f"The checkpoint {path} cannot be opened: {error}") from error
    return file


def _headers(path: str | PurePath, archive: zipfile.ZipFile) -> dict[str, Header]:
    headers: dict[str, Header] = {}
    problems: list[str] = []
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


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in _HEADER_READERS:
            raise ValueError(f"npy format {version}, expected (1, 0) or (2, 0)")
        shape, fortran_order, dtype = _HEADER_READERS[version](member)
        return Header(shape, dtype, fortran_order, member.tell(), info)
