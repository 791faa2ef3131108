"""`munet data TASK --to_folder=DIR`: a task as image files, in the form that `folder:DIR` reads."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from munet.data.folder.index import Progress
from munet.data.splits import SPLITS, Split
from munet.data.tasks import Task
from munet.errors import DataError, UserError
from munet.paths import expanded
from munet.store.replacing import new_folder
from munet.threads import in_threads

_UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|%\x7f]')  # in names of folders, on some system


def check_target(folder: Path) -> None:
    """Refuses a place that is taken, before anything is decoded.

    Raises:
      UserError: a file, or a folder that is not empty.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UserError(f"--to_folder={folder}: the folder is not empty; give a new one, or empty it first.")
    elif folder.exists() or folder.is_symlink():
        raise UserError(f"--to_folder={folder}: there is a file of this name; give a new folder.")


def write_folder(task: Task, folder: Path, say: Callable[[str], None]) -> int:
    """Writes all images of a task as `folder/{train,validation,test}/CLASS/NUMBER.png`, lossless.

    The folder appears when it is complete. Class names are kept but for characters that no file system can keep, which
    become `%` and their code.

    Args:
      task: is decoded.
      folder: new or empty; folders above it are made.
      say: told about the progress.

    Returns:
      How many images were written.

    Raises:
      DataError: the images cannot be decoded, or two class names would become one.
      UserError: the folder cannot be written.
    """
    names = [safe_name(name) for name in task.info.class_names]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{task.uri}: two classes are called {repeated[0]!r}; a folder cannot tell them apart.")
    folder = expanded(folder).absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = new_folder(folder.parent, f".{folder.name}-")
        try:
            with task.testing():  # the data themselves are copied: nothing is decided by it
                parts = {name: task.split(name) for name in SPLITS}
            progress = Progress(say, f"{task.info.name}: wrote", sum(map(len, parts.values())))
            for split, part in parts.items():
                for name in names:
                    (temporary / split / name).mkdir(parents=True, exist_ok=True)
                _write(part, names, temporary / split, progress)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UserError(f"--to_folder={folder}: cannot be written: {error.strerror or error}.") from error
    return sum(map(len, parts.values()))


def safe_name(name: str) -> str:
    """A class name as the name of a folder that is neither hidden nor forbidden on any common system."""
    safe = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name.strip())
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if safe.endswith("."):
        safe = safe[:-1] + "%2E"
    return safe or "%"


def _write(part: Split, names: list[str], folder: Path, progress: Progress) -> None:
    width = len(str(len(part)))

    def save(index: int) -> None:
        pixels = part.images[index]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        image.save(folder / names[part.labels[index]] / f"{index:0{width}}.png", compress_level=1)

    for _ in in_threads(save, range(len(part))):
        progress.step()
