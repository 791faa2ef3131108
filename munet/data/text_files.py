"""Where a text lies: in one file, or in a folder with a file for each split, as WikiText-2 is distributed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from munet.data import places
from munet.data.open_settings import TaskUri
from munet.errors import DataError

# What trains, validates and tests: WikiText as it comes, by words and raw, and as the example of PyTorch has it.
_SETS = (
    ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
    ("wiki.train.raw", "wiki.valid.raw", "wiki.test.raw"),
    ("train.txt", "valid.txt", "test.txt"),
)
_KNOWN = "; ".join(", ".join(names) for names in _SETS)
_MOST = 1 << 30  # bytes

OPTIONS = ("unit",)  # of a text


def files_of(uri: TaskUri, path: Path) -> list[Path]:
    """The file of a text, or those of what trains, validates and tests.

    Args:
      uri: of the text, for messages.
      path: a file, or a folder that has one of the sets of three.

    Raises:
      DataError: there is no such file, or the folder lacks some.
    """
    if path.is_file():
        return [path]
    if path.is_dir():
        return [path / name for name in _names(uri.text, path)]
    raise places.not_there(uri, path, "*", OPTIONS, f"A text is a file, or a folder with three: {_KNOWN}.")


def read(uri: str, files: Sequence[Path]) -> list[bytes]:
    """All bytes of some files.

    Raises:
      DataError: they have over a gigabyte together.
    """
    size = sum(file.stat().st_size for file in files)
    if size > _MOST:
        what = f"{files[0]} has" if len(files) == 1 else "its three files have"
        raise DataError(f"{uri}: {what} {size:,} bytes; expected a text of up to {_MOST:,}.")
    return [file.read_bytes() for file in files]


def _names(uri: str, folder: Path) -> tuple[str, ...]:
    """The first set of which a folder has all.

    Raises:
      DataError: it has none; what it lacks of the one of which it has most.
    """
    there = {file.name for file in folder.iterdir() if file.is_file()}
    best = max(_SETS, key=lambda names: len(there.intersection(names)))
    missing = [name for name in best if name not in there]
    if not missing:
        return best
    if len(missing) == len(best):
        raise DataError(f"{uri}: {folder} has no files of a text. Expected three for a text in pieces: {_KNOWN}.")
    kept = [name for name in best if name in there]
    raise DataError(
        f"{uri}: {folder} has {' and '.join(kept)}, but no {' and no '.join(missing)}. Add what is missing, or name "
        f"one file, which is cut into three: text:{folder / kept[0]}."
    )
