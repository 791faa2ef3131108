"""A simulated object store that processes share: `shared:///folder/...`, over a folder of the local file system.

A PUT is atomic, and conditional where it is asked to create: by a link, as the store itself would decide.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import fsspec


class SharedStore(fsspec.AbstractFileSystem):
    """The store. Every request goes through `around`, with its name and what does it: a network may be played there."""

    protocol = "shared"
    cachable = False
    around: ClassVar[Callable[[str, Callable[[], Any]], Any]] = staticmethod(lambda name, request: request())

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("shared://").rstrip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        def request() -> list[Any]:
            folder = Path(self._strip_protocol(path))
            if not folder.is_dir():
                raise FileNotFoundError(path)
            return [_said_of(item) for item in folder.iterdir() if not item.name.startswith(".")]

        found = SharedStore.around("ls", request)
        return found if detail else [item["name"] for item in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        def request() -> dict[str, Any]:
            item = Path(self._strip_protocol(path))
            if not item.exists():
                raise FileNotFoundError(path)
            return _said_of(item)

        found: dict[str, Any] = SharedStore.around("info", request)
        return found

    def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        data: bytes = SharedStore.around("cat", Path(self._strip_protocol(path)).read_bytes)
        return data[start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        def request() -> None:
            target = Path(self._strip_protocol(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.parent / f".{secrets.token_hex(8)}"
            temporary.write_bytes(value)
            if mode == "create":
                try:
                    os.link(temporary, target)
                finally:
                    temporary.unlink()
            else:
                temporary.replace(target)

        SharedStore.around("create" if mode == "create" else "put", request)

    def rm_file(self, path: str) -> None:
        SharedStore.around("rm", Path(self._strip_protocol(path)).unlink)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return SharedStore.around("open", lambda: Path(self._strip_protocol(path)).open(mode))


def _said_of(item: Path) -> dict[str, Any]:
    return {"name": str(item), "size": item.stat().st_size, "type": "directory" if item.is_dir() else "file"}


def register() -> None:
    """Makes `shared://` known to fsspec, in this process."""
    fsspec.register_implementation("shared", SharedStore, clobber=True)
