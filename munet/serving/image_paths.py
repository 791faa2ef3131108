"""Which images are meant by what is given: files, folders and all images in them, a list on standard input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from munet.data.folder.image_files import is_folder, natural
from munet.data.photos import SUFFIXES

STANDARD_INPUT = "-"


def image_paths(given: Iterable[str], listed: TextIO) -> Iterator[str]:
    """The paths of all images, one after the other; nothing but the names of one folder is held.

    Args:
      given: files, which are taken whatever they are called; folders, whose files with the ending of an image are, in
        all folders below too, hidden ones left out; and `-`.
      listed: what `-` stands for: a path a line, of a file or a folder.
    """
    for path in given:
        if path == STANDARD_INPUT:
            for line in listed:
                if line.rstrip("\r\n"):
                    yield from _in(line.rstrip("\r\n"))
        else:
            yield from _in(path)


def _in(path: str) -> Iterator[str]:
    """The images of a folder, in natural order; a file as it is."""
    try:
        has_more = Path(path).is_dir()
    except (OSError, ValueError):
        has_more = False  # reading it will say why
    if not has_more:
        yield path
        return
    waiting, seen = [path], set()
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 - of names as they are given
            if (status.st_dev, status.st_ino) in seen:  # where symbolic links lead in a circle
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                names = sorted((entry.name, is_folder(entry)) for entry in entries if not entry.name.startswith("."))
        except OSError:
            yield folder  # which cannot be read: reading it will say why
            continue
        names.sort(key=lambda item: natural(item[0]))
        yield from (os.path.join(folder, name) for name, is_dir in names if not is_dir and _is_image(name))  # noqa: PTH118
        waiting += [os.path.join(folder, name) for name, is_dir in reversed(names) if is_dir]  # noqa: PTH118


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - of very many files
