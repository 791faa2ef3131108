"""Reads `.npz` files of strangers: no pickles, and sizes checked from the headers before any memory is taken."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from munet.errors import CheckpointError
from munet.npz_headers import BROKEN, ArrayHeader, header_of
from munet.vit.headers import listing, open_file

DTYPES = ("float16", "float32", "float64")

_MAX_ARRAYS = 4096  # ViT-L has about 400


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
        except BROKEN as error:
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
        except BROKEN as error:
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
            header = header_of(archive, info)
        except BROKEN as error:
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
