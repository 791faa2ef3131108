"""What a folder of stored files can do, wherever it is, and the way to one.

A file in it is either wholly there or not at all: on local disks `local.py` sees to that, in object stores `remote.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from munet.errors import UserError
from munet.store.local import LocalFolder


class Folder(Protocol):
    """A flat folder of small-to-medium files. It is made when the first file is."""

    path: str

    def location(self, name: str) -> str:
        """The full path of a file, for messages."""

    def names(self) -> set[str]:
        """Names of all files that are wholly there; empty where the folder does not exist."""

    def exists(self, name: str) -> bool:
        """Whether the file is there."""

    def open(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A seekable binary reader; `FileNotFoundError` where there is no such file."""

    def read(self, name: str) -> bytes:
        """All bytes; `FileNotFoundError` where there is no such file."""

    def create(self, name: str, data: bytes) -> None:
        """Writes a file once and for all.

        Raises:
          FileExistsError: it is there already, with other bytes (with the same ones there is nothing to do).
          DiskFullError: nothing is left behind.
        """

    def replace(self, name: str, data: bytes) -> None:
        """Writes a file, instead of an older one if there is one; `DiskFullError` as above."""

    def delete(self, names: Iterable[str]) -> None:
        """Removes files; those that are not there are ignored."""

    def remove_leftovers(self) -> None:
        """Removes temporary files of killed processes. Only for whoever holds the work directory's lock."""


_LOCAL = ("file://", "local://")  # as URLs have it, and as fsspec


def local_path(path: str | os.PathLike[str]) -> str:
    """A place in the local file system without the scheme that it may be given with.

    Raises:
      UserError: nothing follows the scheme.
    """
    text = os.fspath(path)
    for scheme in _LOCAL:
        if text.startswith(scheme):
            text = text.removeprefix(scheme)
            if not text:
                raise UserError(f"{scheme} names no directory: give its path, e.g. {scheme}/data/run or /data/run.")
    return text


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a URL such as `gs://bucket/run` and not a place in the local file system."""
    return "://" in os.fspath(path) and not os.fspath(path).startswith(_LOCAL)


def absolute(path: str | os.PathLike[str]) -> str:
    """The same place whatever the current directory: an absolute local path, or the URL as it is.

    Raises:
      UserError: nothing follows the scheme.
    """
    text = local_path(path)
    return text if is_remote(text) else str(Path(text).absolute())


def open_folder(path: str | os.PathLike[str]) -> Folder:
    """The folder at a local path or URL.

    Raises:
      UserError: nothing installed can read such a URL; the message names the extra to install.
    """
    text = os.fspath(path)
    if is_remote(text):
        from munet.store.remote import RemoteFolder  # only where it is needed: fsspec costs a quarter of a second

        return RemoteFolder(text)
    return LocalFolder(local_path(text))
