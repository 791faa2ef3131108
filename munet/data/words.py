"""A text by words: what stands between blanks, and `<eos>` at the end of every line, as language models have it.

Lines end where Python's text files have them end ("\\n", "\\r\\n" or "\\r"); a blank line is `<eos>`, too. Words are
numbered in the order in which they first occur in what trains, validates and tests, as PyTorch's example numbers them;
the vocabulary is that of all three, so nothing is unknown. Of WikiText-2 it is 33,278 words, and the pieces have
2,088,628, 217,646 and 245,569.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt

from munet.data.splits import MAX_CLASSES
from munet.errors import DataError

END = "<eos>"


def numbered(uri: str, pieces: Sequence[bytes], names: Sequence[str]) -> tuple[list[str], list[UInt[np.ndarray, " n"]]]:
    """The vocabulary, and the pieces as numbers of its words, in the smallest type that holds all of these.

    Args:
      uri: for messages.
      pieces: UTF-8.
      names: of their files, for messages.

    Raises:
      DataError: a piece is not UTF-8, or there are too many different words.
    """
    known: dict[str, int] = {}
    found = [_numbers(uri, piece, name, known) for piece, name in zip(pieces, names, strict=True)]
    dtype = np.min_scalar_type(max(len(known) - 1, 0))
    return list(known), [np.frombuffer(one, np.uint16).astype(dtype) for one in found]


def _numbers(uri: str, piece: bytes, name: str, known: dict[str, int]) -> array[int]:
    """A piece as numbers; words that are new get the next ones."""
    found = array("H")
    try:
        for at, line in enumerate(io.TextIOWrapper(io.BytesIO(piece), "utf-8"), start=1):
            own = [known.setdefault(word, len(known)) for word in (*line.split(), END)]
            if len(known) > MAX_CLASSES:
                raise DataError(
                    f"{uri}: up to line {at:,} of {name} there are {len(known):,} different words, and no more than "
                    f"{MAX_CLASSES:,} can be told apart. Write <unk> for rare ones first, as WikiText-2 does, or "
                    "predict bytes: leave unit=words out."
                )
            found.extend(own)
    except UnicodeDecodeError:
        raise DataError(f"{uri}: {_wrong(piece, name)}") from None
    return found


def _wrong(piece: bytes, name: str) -> str:
    """Where a piece is not UTF-8, in words."""
    try:
        piece.decode()
    except UnicodeDecodeError as error:
        line, byte = piece.count(b"\n", 0, error.start) + 1, piece[error.start]
        return (
            f"line {line:,} of {name} is not UTF-8 (byte 0x{byte:02x}), which a text by words must be. Convert it, "
            "e.g. `iconv -f latin1 -t utf8`, or predict bytes: leave unit=words out."
        )
    return f"{name} is not UTF-8."
