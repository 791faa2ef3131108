"""Which files of a folder are images, of which class and split: by sub-folders, or by a `labels.csv`.

    FOLDER/CLASS/**/image.jpg                     split by content, 80/10/10
    FOLDER/{train,validation,test}/CLASS/**/...   `val` and `valid` are validation too; what is missing comes from train
    FOLDER/labels.csv                             columns path,label[,split]; or the file itself as the task's path

A class is a folder right below; images may lie anywhere inside it. Hidden files, and files that are no images, are
left out and counted.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from munet.data.photos import SUFFIXES
from munet.data.splits import MAX_CLASSES, SPLITS, SplitName
from munet.errors import DataError, nearest

LABELS_FILE = "labels.csv"
_SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

# Images for other programs, and for Pillow: few data sets have them, and their readers have had many holes.
_FOREIGN_SUFFIXES = frozenset((
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif", ".heic", ".heif", ".jxl", ".tga", ".ico", ".icns",
    ".psd", ".dds", ".pcx", ".sgi", ".svg", ".eps", ".dcm", ".exr", ".hdr", ".cr2", ".nef", ".dng", ".arw", ".raw",
))  # fmt: skip


@dataclass(frozen=True)
class ImageFile:
    """A file that should be an image: its path below the folder, its class, and its split if the folder says."""

    path: str
    class_name: str
    split: SplitName | None = None


@dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Attributes:
      root: the folder.
      files: in a fixed order.
      class_names: in natural order ("2" before "10"); classes without files too.
      has_splits: whether the folder says which split a file is in.
      notes: what was left out.
    """

    root: Path
    files: tuple[ImageFile, ...]
    class_names: tuple[str, ...]
    has_splits: bool
    notes: tuple[str, ...] = ()


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key by which numbers inside names count as numbers: "img2" before "img10"."""
    parts = re.split(r"([0-9]+)", name.casefold())
    keys = []
    for part in filter(None, parts):
        number = part.lstrip("0")  # compared as text: int() takes neither every digit nor every length
        keys.append((0, len(number), number) if "0" <= part[0] <= "9" else (1, 0, part))
    return keys, name


def split_named(name: str) -> SplitName | None:
    """The split that a name means, in any case; None if it is none."""
    return _SPLIT_NAMES.get(name.strip().casefold())


def known_splits() -> tuple[str, ...]:
    """All names of splits."""
    return tuple(_SPLIT_NAMES)


def list_folder(uri: str, root: Path) -> Listing:
    """The images of a folder without `labels.csv`.

    Raises:
      DataError: no classes, an unknown split beside known ones, or a folder that cannot be read.
    """
    left_out = _LeftOut()
    top = _subfolders(uri, root, left_out)
    splits = _split_folders(uri, root, top)
    files: list[ImageFile] = []
    places: dict[str, str] = {}
    for split, folder in splits.items() if splits else [(None, root)]:
        classes = _subfolders(uri, folder, left_out) if splits else top
        for class_folder in classes:
            name = _display(class_folder.name)
            if places.setdefault(name, class_folder.name) != class_folder.name:
                raise DataError(f"{uri}: two folders are called {name!r} but for their encoding. Rename one of them.")
            files += [ImageFile(path, name, split) for path in _images(uri, root, class_folder, left_out)]
        if len(places) > MAX_CLASSES:
            raise DataError(f"{uri}: more than {MAX_CLASSES:,} sub-folders; each is a class. Is it the right folder?")
    if not places:
        loose = sum(left_out.others.values())
        hint = f" It holds {loose:,} files itself. Did you mean folder:{root.absolute().parent}?" if loose else ""
        raise DataError(
            f"{uri}: {root} has no sub-folders with images. Expected one sub-folder for each class, or train/, "
            f"validation/ and test/ with those in each, or a {LABELS_FILE}.{hint}"
        )
    if len(places) == 1 and not splits:
        inner = [path.name for path in _subfolders(uri, top[0], _LeftOut())]
        hint = f" Did you mean folder:{top[0]}?" if len(inner) > 1 else ""
        raise DataError(
            f"{uri}: {root} has only one sub-folder, {top[0].name!r}; each is a class, and a task needs at least 2."
            f"{hint}"
        )
    return Listing(root, tuple(files), tuple(sorted(places, key=natural)), bool(splits), left_out.notes())


@dataclass
class _LeftOut:
    """Counts what is not taken for an image."""

    hidden: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind."""
        notes = []
        if foreign := Counter({kind: count for kind, count in self.others.items() if kind in _FOREIGN_SUFFIXES}):
            listed = ", ".join(f"{count:,} {kind}" for kind, count in foreign.most_common(5))
            notes.append(f"Images in formats that are not read are left out: {listed}. Convert them to PNG or JPEG.")
        others = self.others - foreign
        if others:
            kinds = [f"{count:,} {kind}" for kind, count in others.most_common(5)]
            more = f" and {len(others) - 5} kinds more" if len(others) > 5 else ""
            notes.append(f"Files left out because they are no images: {', '.join(kinds)}{more}.")
        if self.hidden:
            what = "hidden files or folders are" if self.hidden > 1 else "hidden file or folder is"
            notes.append(f"{self.hidden:,} {what} left out.")
        return tuple(notes)


def _split_folders(uri: str, root: Path, folders: Sequence[Path]) -> dict[SplitName, Path]:
    """The folders of splits; empty if the sub-folders are classes.

    They are splits if one of them has the name of a split and sub-folders of its own; then train must be there.
    """
    named = {folder: split_named(folder.name) for folder in folders}
    if not any(split and _has_subfolders(uri, folder) for folder, split in named.items()):
        return {}
    unknown = [folder.name for folder, split in named.items() if split is None]
    found: dict[SplitName, Path] = {}
    for folder, split in named.items():
        if split in found:
            raise DataError(f"{uri}: both {found[split].name}/ and {folder.name}/ are for {split}. Keep one of them.")
        if split:
            found[split] = folder
    if unknown:
        raise DataError(
            f"{uri}: {root} has {', '.join(path.name + '/' for path in found.values())} with classes inside, and "
            f"{unknown[0]}/, which is no split. {nearest(unknown[0].casefold(), known_splits())}"
        )
    if "train" not in found:
        raise DataError(
            f"{uri}: {root} has {', '.join(path.name + '/' for path in found.values())} but no train/. Add it, or put "
            "all images into one sub-folder for each class."
        )
    return {split: found[split] for split in SPLITS if split in found}


def _has_subfolders(uri: str, folder: Path) -> bool:
    return bool(_subfolders(uri, folder, _LeftOut()))


def _subfolders(uri: str, folder: Path, left_out: _LeftOut) -> list[Path]:
    """Folders right below, in natural order; files beside them are left out."""
    found = []
    for entry in _entries(uri, folder):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            left_out.hidden += 1
        elif is_folder(entry):
            found.append(folder / entry.name)
        else:
            left_out.others[_kind(entry.name) + " beside the class folders"] += 1
    return sorted(found, key=lambda path: natural(path.name))


def _images(uri: str, root: Path, class_folder: Path, left_out: _LeftOut) -> Iterator[str]:
    """Paths below `root` of the images of a class.

    A folder that symbolic links lead to twice is read once, and none that the class folder is in.
    """
    seen = {_identity(root), _identity(class_folder.parent)}
    waiting = [class_folder]
    while waiting:
        folder = waiting.pop()
        identity = _identity(folder)
        if identity in seen:
            continue
        seen.add(identity)
        inner = []
        for entry in sorted(_entries(uri, folder), key=lambda entry: natural(entry.name)):
            if entry.name.startswith("."):
                left_out.hidden += 1
            elif is_folder(entry):
                inner.append(folder / entry.name)
            elif Path(entry.name).suffix.lower() not in SUFFIXES:
                left_out.others[_kind(entry.name)] += 1
            elif entry.is_symlink() or entry.is_file():  # a broken link is an image that cannot be read
                yield str((folder / entry.name).relative_to(root))
            else:
                left_out.others["special"] += 1
        waiting += reversed(inner)


def _entries(uri: str, folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{uri}: the folder {folder} cannot be read: {error.strerror or error}.") from error


def _identity(folder: Path) -> tuple[int, int]:
    """The same for all paths that lead to a folder."""
    try:
        status = folder.stat()
    except OSError:  # removed just now; reading it tells
        return -1, hash(folder)
    return status.st_dev, status.st_ino


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a symbolic link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself
        return False


def _kind(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if 1 < len(suffix) <= 8 and suffix.isprintable() else "without a known ending"


def _display(name: str) -> str:
    """A folder's name as text that can be printed and stored, the same on every system."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))
