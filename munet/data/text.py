"""Texts whose next symbol is predicted: `text:PATH`, the bytes of a file, and `builtin:text/python`.

A text is cut into three pieces: its first 90 % train, the next 5 % validate, the last 5 % test. Symbols are the bytes
that occur in it, by increasing value; inputs of a split are its symbols but the last, and targets those but the first.
"""

from __future__ import annotations

import hashlib

import numpy as np

from munet.data import places
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source, Split, SplitName
from munet.errors import DataError, nearest

PYTHON = "text/python"  # the built-in one
_SHARES = (0.9, 0.95)  # of the text, where training ends and validation ends
_FEWEST, _MOST = 10_000, 1 << 30  # bytes


def open_text(source: TaskUri, settings: OpenSettings) -> Source:
    """Opens a file of text, in whatever encoding: its bytes are the symbols.

    Raises:
      DataError: there is no such file, it has under 10,000 bytes or over a gigabyte, or one symbol only.
    """
    uri, path = source.text, places.of_task(source, settings)
    if not path.is_file():
        siblings = sorted(file.name for file in path.parent.glob("*") if file.is_file()) if path.parent.is_dir() else []
        near = f" {nearest(path.name, siblings)}" if siblings else ""
        raise DataError(f"{uri}: there is no file {path}.{near}")
    size = path.stat().st_size
    if not _FEWEST <= size <= _MOST:
        raise DataError(f"{uri}: {path} has {size:,} bytes; expected a text of {_FEWEST:,} to {_MOST:,}.")
    return source_of_text(uri, path.read_bytes(), num_bytes=size)


def open_python() -> Source:
    """The language reference that every CPython ships for `help()`: English prose with examples of code.

    Another version of Python has another text; the fingerprint tells them apart.
    """
    from pydoc_data import topics

    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    return source_of_text(f"builtin:{PYTHON}", text.encode())


def source_of_text(uri: str, text: bytes, num_bytes: int = 0) -> Source:
    """A text as a task.

    Args:
      uri: for messages.
      text: all of it.
      num_bytes: of its file on disk.

    Raises:
      DataError: it has one symbol only.
    """
    symbols, numbers = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    if len(symbols) < 2:
        raise DataError(f"{uri}: the text has one symbol only, {_name(int(symbols[0]))}: there is nothing to predict.")
    ends = [round(len(text) * share) for share in _SHARES]
    pieces = np.split(numbers.reshape(-1).astype(np.uint8), ends)
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    splits = {name: Split(own[:-1], own[1:].astype(np.int32)) for name, own in zip(names, pieces, strict=True)}
    return Source(
        class_names=tuple(_name(int(symbol)) for symbol in symbols),
        num_examples={name: len(split) for name, split in splits.items()},
        fingerprint=hashlib.sha256(b"text" + text).hexdigest(),
        load=lambda: splits,
        num_bytes=num_bytes,
        objective="next_token",
    )


def _name(symbol: int) -> str:
    """`e` for a letter, `0x0a` for what is not to be seen."""
    return chr(symbol) if 0x20 < symbol < 0x7F else f"0x{symbol:02x}"
