"""Single files that commands write where an option says: whole or not at all, and refused in words."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from munet.errors import UserError
from munet.store.replacing import replacing

_ADVICE = {
    errno.ENOENT: "Give a file in a folder that exists.",
    errno.ENOTDIR: "Give a file in a folder that exists.",
    errno.EISDIR: "Give the name of a file.",
    errno.ENOSPC: "Free some space, or give a file on another disk.",
    errno.EDQUOT: "Free some space, or give a file on another disk.",
}


def check_folder(option: str, output: str) -> None:
    """That the folder of a file is there, before the work for the file begins.

    Raises:
      UserError: it is not.
    """
    folder = Path(output).parent
    if not folder.is_dir():
        problem = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
        raise UserError(f"{option}={output} cannot be written: {problem}. {_ADVICE[errno.ENOENT]}")


def write(option: str, output: str, content: bytes) -> None:
    """Writes a file; one that is there stays as it is if that fails, and otherwise nothing is left of it.

    Args:
      option, output: as `writing` has them.
      content: of the whole file.

    Raises:
      UserError: it cannot be written.
    """
    with writing(option, output) as path:
        path.write_bytes(content)


@contextmanager
def writing(option: str, output: str) -> Iterator[Path]:
    """A path to write a file at, for writers that want one; the file comes to its place if the block ends well.

    Args:
      option: that named it, for messages.
      output: where; devices and pipes are written to as they are, and so is the file that a link leads to. A file
        that is there keeps its permissions, and is refused where they forbid to write it.

    Raises:
      UserError: it cannot be written.
    """
    given, place = Path(output), Path(os.path.realpath(output))
    try:
        if _is_written_in_place(given, place):
            yield given
            return
        with replacing(place) as temporary:
            if place.is_file():
                _check_writable(place)
                temporary.touch()
                shutil.copymode(place, temporary)  # before there is anything in it that others may not read
            yield temporary
    except OSError as error:
        raise UserError(_refusal(option, output, error)) from error


def _refusal(option: str, output: str, error: OSError) -> str:
    """Why a file cannot be written, and what to do."""
    advice = _ADVICE.get(error.errno or 0, "Give a file that may be written.")
    return f"{option}={output} cannot be written: {error.strerror or error}. {advice}"


def _is_written_in_place(given: Path, place: Path) -> bool:
    """Devices, pipes, and a file that may be written in a folder where nothing may be made.

    What an open pipe is called leads to no place (`/dev/stdout`, or what a shell makes of `>(...)`), so it is asked of
    the name that was given.
    """
    return given.exists() and not given.is_dir() and (not given.is_file() or not os.access(place.parent, os.W_OK))


def _check_writable(place: Path) -> None:
    """Renaming another file over it asks only for the folder's permissions."""
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
