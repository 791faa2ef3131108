"""Opening a stranger's checkpoint file, and saying what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import IO

from etils import epath

from munet.errors import CheckpointError, nearest

_MAX_LISTED = 20  # problems in one message; a foreign file has hundreds of the same kind
_MAX_LINE = 240  # characters of one problem; names in a damaged file may be of any length


def open_file(path: str | PurePath) -> IO[bytes]:
    """The file, for reading bytes; local, or wherever epath can read.

    Raises:
      CheckpointError: it is not there (the nearest name is), or cannot be opened.
    """
    place = epath.Path(path)
    try:
        file: IO[bytes] = place.open("rb")
    except FileNotFoundError:
        folder = place.parent
        if not folder.is_dir():
            raise CheckpointError(f"There is no checkpoint {path}: the folder {folder} does not exist.") from None
        files = [file.name for file in folder.iterdir() if file.suffix in (".npz", ".safetensors")]
        advice = nearest(place.name, files) if files else "Its folder holds no .npz or .safetensors file."
        raise CheckpointError(f"There is no checkpoint {path}. {advice}") from None
    except (OSError, ImportError) as error:  # ImportError: a remote place without the package that reads it
        raise CheckpointError(f"The checkpoint {path} cannot be opened: {error}") from error
    return file


def listing(head: str, problems: Iterable[str]) -> str:
    """One message of several problems, sorted; of very many the first ones and how many there are."""
    found = sorted(problems)
    lines = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..." for line in found[:_MAX_LISTED]]
    if len(found) > _MAX_LISTED:
        lines.append(f"... and {len(found) - _MAX_LISTED:,} more")
    return "\n  - ".join([f"{head}:", *lines])
