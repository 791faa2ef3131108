"""Changes entries of a journal on disk, in the form in which they are written: with the hash of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from munet.store.codec import dumps
from munet.store.journal import has_own_hash, signed

Content = dict[str, Any]


def read(file: Path) -> Content:
    """What an entry's file holds, without its own hash."""
    content: Content = json.loads(file.read_bytes())
    content.pop("sha256", None)
    return content


def write(file: Path, content: Content) -> None:
    """Writes an entry's file as munet would; one of an old format, which had no hash of its own, as that was."""
    file.write_bytes(signed(content) if content.get("format", 3) not in (1, 2) else dumps(content) + b"\n")


def edit(file: Path, change: Callable[[Content], object]) -> None:
    """Changes an entry so that only the chain and what it says can tell."""
    content = read(file)
    change(content)
    write(file, content)


def replace(file: Path, old: str, new: str) -> None:
    """Changes the first place of an entry's text, likewise."""
    text = dumps(read(file)).decode()
    assert old in text
    write(file, json.loads(text.replace(old, new, 1)))


def as_old_format(folder: Path) -> None:
    """Makes a journal one of format 1, whose entries have no hash of their own."""
    import hashlib

    previous = ""
    for file in sorted(folder.glob("*.json")):
        content = read(file) | {"format": 1, "previous": previous}
        if "format_version" in content["entry"]:
            content["entry"]["format_version"] = 1
        write(file, content)
        previous = hashlib.sha256(file.read_bytes()).hexdigest()
        assert not has_own_hash(file.read_bytes())
