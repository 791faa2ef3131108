"""A simulated object store that processes share: `shared:///folder/...`, over a folder of the local file system.

A PUT is atomic, and conditional where it is asked to create: by a link, as the store itself would decide. Steps may be
told, so that a test can let them follow on each other in any order.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import fsspec


class SharedStore(fsspec.AbstractFileSystem):
    """The store. `before` is called before each request, with its name."""

    protocol = "shared"
    cachable = False
    before: ClassVar[Callable[[str], None]] = staticmethod(lambda request: None)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("shared://").rstrip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        SharedStore.before("ls")
        folder = Path(self._strip_protocol(path))
        if not folder.is_dir():
            raise FileNotFoundError(path)
        found = [
            {"name": str(item), "size": item.stat().st_size, "type": "directory" if item.is_dir() else "file"}
            for item in folder.iterdir()
            if not item.name.startswith(".")
        ]
        return found if detail else [item["name"] for item in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        SharedStore.before("info")
        item = Path(self._strip_protocol(path))
        if not item.exists():
            raise FileNotFoundError(path)
        return {"name": str(item), "size": item.stat().st_size, "type": "directory" if item.is_dir() else "file"}

    def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        SharedStore.before("cat")
        return Path(self._strip_protocol(path)).read_bytes()[start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        SharedStore.before("create" if mode == "create" else "put")
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

    def rm_file(self, path: str) -> None:
        SharedStore.before("rm")
        Path(self._strip_protocol(path)).unlink()

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        SharedStore.before("open")
        return Path(self._strip_protocol(path)).open(mode)


def register() -> None:
    """Makes `shared://` known to fsspec, in this process."""
    fsspec.register_implementation("shared", SharedStore, clobber=True)
