"""The manifest of a save: the SHA-256 of every file in it, written last, checked before anything of it is used.

Orbax's data files carry no checksum of their own contents: a flipped bit in one would be trained on. The file is one
line of JSON, `{"format": 1, "files": {PATH: [BYTES, SHA-256]}}`, and one line with the SHA-256 of the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath

from munet.store import codec
from munet.store.folders import open_folder

FILE = "munet_manifest.json"
_FORMAT_VERSION = 1
_CHUNK = 1 << 20  # bytes read at a time


def write(save: epath.Path) -> None:
    """Writes the manifest of a complete save, atomically: a save with a manifest was seen whole.

    Raises:
      OSError: it cannot be written, or the save cannot be read.
    """
    files = {name: _measured(save / name) for name in sorted(_names(save))}
    body = codec.dumps({"format": _FORMAT_VERSION, "files": files})
    open_folder(str(save)).replace(FILE, _signed(body))


def is_there(save: epath.Path) -> bool:
    """Whether a save has a manifest: those of older versions have none, nor one whose process was killed before."""
    return bool((save / FILE).exists())


def check(save: epath.Path) -> None:
    """Compares every file of a save with its manifest.

    Raises:
      ValueError: a file was altered, is missing or is one too many; the message names it.
      OSError: it cannot be read.
    """
    data = (save / FILE).read_bytes()
    body = data.partition(b"\n")[0]
    content = codec.loads(body, FILE) if data == _signed(body) else None
    if not isinstance(content, dict) or content.get("format") != _FORMAT_VERSION:
        raise ValueError(f"{FILE} is not what was written")
    files, there = content["files"], set(_names(save))
    for name in sorted(files.keys() ^ there):
        raise ValueError(f"{name} is {'one file too many' if name in there else 'missing'}")
    for name, expected in files.items():
        if _measured(save / name) != expected:
            raise ValueError(f"{name} is not what was written (SHA-256)")


def _names(save: epath.Path, below: str = "") -> Iterator[str]:
    """All files of a save but the manifest, as paths inside of it."""
    for item in save.iterdir():
        name = f"{below}{item.name}"
        if item.is_dir():
            yield from _names(item, f"{name}/")
        elif name != FILE:
            yield name


def _measured(file: epath.Path) -> list[object]:
    """Size and SHA-256 of a file, which may be larger than memory."""
    hasher, size = hashlib.sha256(), 0
    opened: BinaryIO
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return [size, hasher.hexdigest()]


def _signed(body: bytes) -> bytes:
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"
