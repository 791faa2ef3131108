"""`folder:/path`: image files in sub-folders, one for each class, or named by a `labels.csv`.

The files are hashed and decoded when the task is opened, because only then is it known which of them can be used; the
cache keeps the outcome by content, so that it happens once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32

from munet.data import places
from munet.data.folder import image_files, index, labels_csv
from munet.data.folder.image_files import Listing
from munet.data.folder.index import FileFacts
from munet.data.folder.notes import equal_files, perhaps_tasks
from munet.data.folder.pixels import FolderPixels, decoded_bytes
from munet.data.folder.split_folders import split_files
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.photos import SUFFIXES
from munet.data.splits import SPLITS, Source, Split, SplitName, Splits
from munet.data.uris import SCHEMES
from munet.errors import DataError, did_you_mean, nearest

IDENTITY = 1  # part of every fingerprint: count up where all runs on folders are to be refused
_SHOWN = 5  # bad files named in a message


def open_folder(uri: TaskUri, settings: OpenSettings) -> Source:
    """Reads, decodes and splits the images of a folder.

    Args:
      uri: whose path is the folder, or a `.csv` file in it; option `range`: the values that are black and white.
      settings: the cache, the canvas, the seed of the split, and how many files may be unreadable.

    Raises:
      DataError: no such folder, no images, one class, a class without images, too many unreadable files.
    """
    listing = _listing(uri.text, places.of_task(uri, settings))
    if not listing.files:
        raise DataError(f"{uri.text}: no images in {listing.root}. {' '.join(listing.notes)}".rstrip())
    facts = index.index_files(listing.root, [file.path for file in listing.files], settings, uri.name)
    label_of = {name: label for label, name in enumerate(listing.class_names)}
    labels = np.array([label_of[file.class_name] for file in listing.files], np.int32)
    images = FolderPixels(uri, listing, facts, settings, _is_streamed(listing, facts, labels, settings))
    is_kept, notes = _kept(uri.text, listing, images.problems(), settings.max_bad_images)
    numbers = np.flatnonzero(is_kept)
    _check_classes(uri.text, listing, np.bincount(labels[numbers], minlength=len(label_of)))
    parts, split_notes = split_files(listing, facts, numbers, labels, settings.seed)
    _check_trained(uri.text, listing, labels, parts)

    def load() -> Splits:
        return {name: Split(images.images(part), labels[part]) for name, part in parts.items()}

    identity = [IDENTITY, listing.class_names, images.image_shape, *uri.options.values()]
    identity += [[name, [[facts[n].digest, int(labels[n])] for n in part]] for name, part in parts.items()]
    return Source(
        listing.class_names,
        {name: len(parts[name]) for name in SPLITS},
        hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        load,
        (*listing.notes, *perhaps_tasks(listing), *notes, *split_notes, *equal_files(listing, facts, labels, parts)),
        image_shape=images.image_shape,
    )


def _listing(uri: str, path: Path) -> Listing:
    """The files of a folder, whichever way it says what they are.

    Raises:
      DataError: no such folder, or no such option of one; the nearest is named.
    """
    if path.suffix.lower() == ".csv" and path.is_file():
        return labels_csv.list_labels(uri, path)
    if path.is_dir():
        labels = path / image_files.LABELS_FILE
        return labels_csv.list_labels(uri, labels) if labels.is_file() else image_files.list_folder(uri, path)
    if path.exists():
        near = f"Did you mean {f'npz:{path}' if path.suffix == '.npz' else f'folder:{_task_around(path)}'}?"
        raise DataError(f"{uri}: {path} is a file, expected a folder of images or a CSV file of labels. {near}")
    given, mark, option = str(path).rpartition("?")
    if mark and Path(given).is_dir():
        near = nearest(option.partition("=")[0], SCHEMES["folder"].path_options)
        raise DataError(f"{uri}: a folder task has no option {option!r}. {near}")
    path = path.absolute()
    above = path.parent
    while not above.is_dir() and above != above.parent:
        above = above.parent
    missing = path.relative_to(above).parts[0]
    try:
        siblings = [entry.name for entry in above.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        siblings = []
    hint = nearest(missing, siblings, listed="It has") if siblings else "It has no folders."
    raise DataError(f"{uri}: there is no folder {path}: {above} has no {missing!r}. {hint}")


def _task_around(path: Path) -> Path:
    """The folder that is most likely the task which a file belongs to: around its own, if that is one of a class."""
    is_class = path.suffix.lower() in SUFFIXES and not any(entry.is_dir() for entry in path.parent.iterdir())
    return path.absolute().parents[1] if is_class else path.parent


def _is_streamed(
    listing: Listing, facts: Sequence[FileFacts], labels: Int32[np.ndarray, " files"], settings: OpenSettings
) -> bool:
    """Whether the training images are too many to be held, by what headers tell."""
    if math.isinf(settings.max_resident):
        return False
    sound = np.array([number for number, fact in enumerate(facts) if not fact.problem], np.int64)
    parts, _ = split_files(listing, facts, sound, labels, settings.seed)
    return len(parts["train"]) * decoded_bytes(facts, settings) > settings.max_resident


def _kept(uri: str, listing: Listing, problems: Sequence[str], limit: float) -> tuple[np.ndarray, list[str]]:
    """Which files can be used, and a note on those that cannot.

    Raises:
      DataError: more than the limit cannot.
    """
    bad = [number for number, problem in enumerate(problems) if problem]
    is_kept = np.array([not problem for problem in problems])
    if not bad:
        return is_kept, []
    total, share = len(problems), len(bad) / len(problems)
    named = [f"{listing.files[number].path} ({problems[number]})" for number in bad[:_SHOWN]]
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    if len(bad) > limit * total:
        listed = "".join(f"\n  - {name}" for name in named) + (f"\n  -{more}" if more else "")
        enough = math.ceil(share * 100) / 100
        raise DataError(
            f"{uri}: {len(bad):,} of {total:,} files ({share:.1%}) cannot be read as images; up to {limit:.1%} are "
            f"left out:{listed}\n  Mend or remove them, or accept that many: --config.max_bad_images={enough:g} "
            f"(`munet data`: --max_bad_images={enough:g})."
        )
    return is_kept, [f"{len(bad):,} of {total:,} files cannot be read and are left out: {', '.join(named)}{more}."]


def _check_classes(uri: str, listing: Listing, counts: Int[np.ndarray, " classes"]) -> None:
    empty = [name for name, count in zip(listing.class_names, counts, strict=True) if not count]
    if empty:
        shown = ", ".join(map(repr, empty[:_SHOWN])) + (f" and {len(empty) - _SHOWN:,} more" if empty[_SHOWN:] else "")
        what = "class has" if len(empty) == 1 else "classes have"
        left = f" {' '.join(listing.notes)}" if listing.notes else ""
        raise DataError(
            f"{uri}: {len(empty):,} {what} no readable image: {shown}. Add some, or remove the folder.{left}"
        )


def _check_trained(
    uri: str, listing: Listing, labels: Int32[np.ndarray, " files"], parts: Mapping[SplitName, Int[np.ndarray, " part"]]
) -> None:
    counts = np.bincount(labels[parts["train"]], minlength=len(listing.class_names))
    untrained = [name for name, count in zip(listing.class_names, counts, strict=True) if not count]
    if untrained:
        trained = set(listing.class_names).difference(untrained)
        near = ((name, did_you_mean(name, trained)) for name in untrained[:_SHOWN])
        hints = "".join(f" {hint[:-1]} by {name!r}?" for name, hint in near if hint)
        shown = ", ".join(map(repr, untrained[:_SHOWN])) + (", ..." if untrained[_SHOWN:] else "")
        raise DataError(
            f"{uri}: {len(untrained):,} of {len(listing.class_names):,} classes have no training image: {shown}. Each "
            f"class of validation and test must be in train, under the same name.{hints}"
        )
