"""Texts whose next symbol is predicted: `text:PATH`, by bytes or by words, and `builtin:text/python`.

A file is cut into three pieces: its first 90 % train, the next 5 % validate, the last 5 % test. A folder has a file for
each (`text_files.py`). Symbols are the bytes that occur in any piece, by increasing value, or with `?unit=words` the
words (`words.py`). Inputs of a split are its symbols but the last, and targets those but the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast, get_args

import numpy as np
from jaxtyping import UInt

from munet.data import places, text_files, words
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import SPLITS, Source, Split
from munet.errors import DataError, nearest
from munet.types import Unit

PYTHON = "text/python"  # the built-in one
_SHARES = (0.9, 0.95)  # of the text, where training ends and validation ends
_FEWEST: Mapping[Unit, int] = {"bytes": 10_000, "words": 2_000}  # symbols of all pieces together
_FEWEST_IN_A_FILE = 20  # symbols: ten texts side by side are measured


def open_text(source: TaskUri, settings: OpenSettings) -> Source:
    """Opens a text: a file, or a folder with a file for each split.

    By bytes it may be in whatever encoding; by words it must be UTF-8.

    Raises:
      DataError: there is no such text, it is too short or over a gigabyte, has one symbol only or too many different
        ones, or an option is none.
    """
    uri, path = source.text, places.of_task(source, settings)
    unit = _unit(uri, source.options)
    files = text_files.files_of(source, path)
    pieces = text_files.read(uri, files)
    return source_of_text(uri, pieces, unit, names=[file.name for file in files], num_bytes=sum(map(len, pieces)))


def open_python() -> Source:
    """The language reference that every CPython ships for `help()`: English prose with examples of code.

    Another version of Python has another text; the fingerprint tells them apart.
    """
    from pydoc_data import topics

    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    return source_of_text(f"builtin:{PYTHON}", [text.encode()])


def source_of_text(
    uri: str, pieces: Sequence[bytes], unit: Unit = "bytes", *, names: Sequence[str] = ("",), num_bytes: int = 0
) -> Source:
    """A text as a task.

    Args:
      uri: for messages.
      pieces: all of it, which is cut here, or what trains, validates and tests.
      unit: what a symbol is.
      names: of the files of the pieces, for messages.
      num_bytes: of its files on disk.

    Raises:
      DataError: it is too short, has one symbol only or too many different ones, or is not UTF-8.
    """
    symbols, parts = words.numbered(uri, pieces, names) if unit == "words" else _bytes(pieces)
    count = sum(map(len, parts))
    if count < _FEWEST[unit]:
        raise DataError(f"{uri}: it has {count:,} {unit}; expected a text of {_FEWEST[unit]:,} or more.")
    if short := [at for at, part in enumerate(parts) if len(part) < _FEWEST_IN_A_FILE]:
        raise DataError(
            f"{uri}: {names[short[0]]} has {len(parts[short[0]]):,} {unit}; expected {_FEWEST_IN_A_FILE} or more."
        )
    if len(symbols) < 2:
        raise DataError(f"{uri}: the text has one symbol only, {symbols[0]}: there is nothing to predict.")
    if len(parts) == 1:
        parts = np.split(parts[0], [round(count * share) for share in _SHARES])
    splits = {name: Split(own[:-1], own[1:].astype(np.int32)) for name, own in zip(SPLITS, parts, strict=True)}  # type: ignore[arg-type]  # symbols
    return Source(
        class_names=tuple(symbols),
        num_examples={name: len(split) for name, split in splits.items()},
        fingerprint=_fingerprint(pieces, unit),
        load=lambda: splits,
        num_bytes=num_bytes,
        objective="next_token",
        unit=unit,
    )


def _unit(uri: str, options: Mapping[str, str]) -> Unit:
    """What a symbol is to be.

    Raises:
      DataError: there is no such option, or no such unit.
    """
    if unknown := [name for name in options if name not in text_files.OPTIONS]:
        raise DataError(f"{uri}: a text task has no option {unknown[0]!r}. {nearest(unknown[0], text_files.OPTIONS)}")
    unit = options.get("unit", "bytes")
    if unit not in get_args(Unit):
        raise DataError(f"{uri}: unit={unit}. {nearest(unit, get_args(Unit))}")
    return cast(Unit, unit)


def _bytes(pieces: Sequence[bytes]) -> tuple[list[str], list[UInt[np.ndarray, " n"]]]:
    """Names of the bytes that occur, and the pieces as numbers of these."""
    symbols, numbers = np.unique(np.frombuffer(b"".join(pieces), np.uint8), return_inverse=True)
    ends = np.cumsum([len(piece) for piece in pieces])[:-1]
    return [_name(int(symbol)) for symbol in symbols], np.split(numbers.reshape(-1).astype(np.uint8), ends)


def _name(symbol: int) -> str:
    """`e` for a letter, `0x0a` for what is not to be seen."""
    return chr(symbol) if 0x20 < symbol < 0x7F else f"0x{symbol:02x}"


def _fingerprint(pieces: Sequence[bytes], unit: Unit) -> str:
    """Of a text by bytes in one file as it has ever been; else the unit and where pieces end are part of it."""
    head = b"text" if unit == "bytes" and len(pieces) == 1 else f"text {unit} {[*map(len, pieces)]} ".encode()
    digest = hashlib.sha256(head)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
