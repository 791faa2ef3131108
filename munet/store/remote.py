"""Folders of object stores, `gs://` and whatever else fsspec knows.

A file is one object, made by one conditional PUT.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, BinaryIO

import fsspec

from munet.errors import UserError
from munet.store.local import check_same


class RemoteFolder:
    """A folder of an object store. Two writers of one name: the second is refused by the store itself."""

    def __init__(self, url: str):
        self.path = url.rstrip("/")
        self._fs, self._root = file_system(self.path)

    def location(self, name: str) -> str:
        """The full URL of an object, for messages."""
        return f"{self.path}/{name}"

    def names(self) -> set[str]:
        """The names of all objects right in the folder, listed anew; empty where there are none."""
        self._fs.invalidate_cache()  # another machine may have written since
        try:
            entries = self._fs.ls(self._root, detail=True)
        except FileNotFoundError:
            return set()
        return {entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"}

    def exists(self, name: str) -> bool:
        """Whether there is such an object now, whoever wrote it."""
        self._fs.invalidate_cache()
        return bool(self._fs.exists(f"{self._root}/{name}"))

    def open(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """The object, opened for reading in ranges; `FileNotFoundError` where there is none."""
        file: contextlib.AbstractContextManager[BinaryIO] = self._fs.open(f"{self._root}/{name}", "rb")
        return file

    def read(self, name: str) -> bytes:
        """All bytes of an object; `FileNotFoundError` where there is none."""
        return bytes(self._fs.cat_file(f"{self._root}/{name}"))

    def create(self, name: str, data: bytes) -> None:
        """Makes an object once and for all; `FileExistsError` where there is one with other bytes."""
        try:
            self._fs.pipe_file(f"{self._root}/{name}", data, mode="create")
        except FileExistsError:  # perhaps our own PUT, sent again because its answer was lost
            check_same(self.read(name), data, self.location(name))

    def replace(self, name: str, data: bytes) -> None:
        """Makes an object, instead of an older one if there is one."""
        self._fs.pipe_file(f"{self._root}/{name}", data)

    def delete(self, names: Iterable[str]) -> None:
        """Removes objects; those that are not there are ignored."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{name}")

    def remove_leftovers(self) -> None:
        """See `folders.Folder`. A PUT leaves none."""


def file_system(url: str) -> tuple[Any, str]:
    """An fsspec file system that caches no listings, and the path in it."""
    protocol = url.split("://", 1)[0]
    try:
        file_system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        advice = (
            "pip install -e '.[gcs]' in munet's folder (the extra `gcs`)"
            if protocol in ("gs", "gcs")
            else "install what is missing"
        )
        raise UserError(f"{url}: {protocol}:// cannot be used yet: {advice}. The cause: {error}") from error
    except ValueError as error:
        raise UserError(f"{url}: no such kind of place ({error}). Give a local path or gs://bucket/path.") from error
    return file_system, str(root).rstrip("/")
