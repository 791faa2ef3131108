"""The data of the arrays in `.npz` files of strangers, once their headers have been checked (`npz_headers.py`)."""

from __future__ import annotations

import zipfile

import numpy as np

from munet.npz_headers import ArrayHeader

_PIECE = 1 << 20  # bytes that are read at a time


def check_stored(name: str, header: ArrayHeader) -> None:
    """Refuses an array of objects, and one of another size than its header says.

    Raises:
      ValueError: it is one.
    """
    if header.dtype.hasobject:
        raise ValueError(f"{name} holds pickled Python objects.")
    if header.data_start + header.num_bytes != header.info.file_size:
        raise ValueError(
            f"{name} should have {header.num_bytes:,} bytes by its header, the file holds "
            f"{header.info.file_size - header.data_start:,}."
        )


def read(archive: zipfile.ZipFile, header: ArrayHeader) -> np.ndarray:
    """The array that a header belongs to, read in pieces into the one place that it needs.

    Raises:
      ValueError, or another of `npz_headers.BROKEN`: it is cut off or damaged.
    """
    data = np.empty(header.num_bytes, np.uint8)
    with archive.open(header.info) as member:
        member.read(header.data_start)
        filled = 0
        while piece := member.read(_PIECE):  # to the end, where zipfile compares the checksum
            data[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
    if filled < len(data):
        raise ValueError("its data are cut off.")
    return data.view(header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
