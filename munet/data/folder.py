"""`folder:/path`: image files in sub-folders, one for each class, or named by a `labels.csv`.

The files are hashed and decoded when the task is opened, because only then is it known which of them can be used; the
cache keeps the outcome by content, so that it happens once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32
from PIL import __version__ as pillow_version
from PIL import features

from munet.data import folder_files, folder_index, folder_labels, photos
from munet.data import images as pixels
from munet.data.cache import Allocate, Arrays, cached_large_arrays, content_key
from munet.data.folder_files import Listing
from munet.data.folder_index import FileFacts
from munet.data.folder_notes import equal_files
from munet.data.folder_splits import split_files
from munet.data.opening import OpenSettings, TaskUri
from munet.data.splits import SPLITS, Source, Split, SplitName, Splits
from munet.errors import DataError, nearest

FORMAT = 1  # of the decoded images in the cache; count up when decoding changes

_SHOWN = 5  # bad files named in a message


def open_folder(uri: TaskUri, settings: OpenSettings) -> Source:
    """Reads, decodes and splits the images of a folder.

    Args:
      uri: whose path is the folder, or a `.csv` file in it.
      settings: the cache, the canvas, the seed of the split, and how many files may be unreadable.

    Raises:
      DataError: no such folder, no images, one class, a class without images, too many unreadable files.
    """
    listing = _listing(uri.text, Path(uri.path).expanduser())
    if not listing.files:
        raise DataError(f"{uri.text}: no images in {listing.root}. {' '.join(listing.notes)}".rstrip())
    facts = folder_index.index_files(listing.root, [file.path for file in listing.files], settings, uri.name)
    decoded = _Decoded(uri, listing, facts, settings)
    arrays = decoded.arrays()
    is_kept, notes = _kept(uri.text, listing, decoded.problems(arrays), settings.max_bad_images)
    numbers = np.flatnonzero(is_kept)
    label_of = {name: label for label, name in enumerate(listing.class_names)}
    labels = np.array([label_of[file.class_name] for file in listing.files], np.int32)
    _check_classes(uri.text, listing, np.bincount(labels[numbers], minlength=len(label_of)))
    parts, split_notes = split_files(listing, facts, numbers, labels, settings.seed)
    _check_trained(uri.text, listing, labels, parts)
    rows = np.array([decoded.rows.get(fact.digest, -1) for fact in facts], np.int64)

    def load() -> Splits:
        images = arrays["images"]  # mapped where there is a cache, so that holding them costs no memory
        return {name: Split(images[rows[part]], labels[part]) for name, part in parts.items()}

    identity = [FORMAT, listing.class_names, arrays["images"].shape[1:]]
    identity += [[name, [[facts[n].digest, int(labels[n])] for n in part]] for name, part in parts.items()]
    return Source(
        listing.class_names,
        {name: len(parts[name]) for name in SPLITS},
        hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        load,
        (*listing.notes, *notes, *split_notes, *equal_files(listing, facts, labels, parts)),
    )


def _listing(uri: str, path: Path) -> Listing:
    """The files of a folder, whichever way it says what they are.

    Raises:
      DataError: no such folder; the nearest one is named.
    """
    if path.suffix.lower() == ".csv" and path.is_file():
        return folder_labels.list_labels(uri, path)
    if path.is_dir():
        labels = path / folder_files.LABELS_FILE
        return folder_labels.list_labels(uri, labels) if labels.is_file() else folder_files.list_folder(uri, path)
    if path.exists():
        near = f"Did you mean npz:{path}?" if path.suffix == ".npz" else f"Did you mean folder:{path.parent}?"
        raise DataError(f"{uri}: {path} is a file, expected a folder of images or a CSV file of labels. {near}")
    path = path.absolute()
    above = path.parent
    while not above.is_dir() and above != above.parent:
        above = above.parent
    missing = path.relative_to(above).parts[0]
    try:
        siblings = [entry.name for entry in above.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        siblings = []
    hint = nearest(missing, siblings).replace("Valid:", "It has:") if siblings else "It has no folders."
    raise DataError(f"{uri}: there is no folder {path}: {above} has no {missing!r}. {hint}")


@dataclass(frozen=True)
class _Decoded:
    """The images of a folder, one for each content, decoded or in the cache."""

    uri: TaskUri
    listing: Listing
    facts: Sequence[FileFacts]
    settings: OpenSettings

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Where the image of each content is, by digest; only of files with a sound header."""
        return {digest: row for row, digest in enumerate(sorted({f.digest for f in self.facts if not f.problem}))}

    def problems(self, arrays: Arrays) -> list[str]:
        """Why each file cannot be used; "" if it can."""
        rows, found = self.rows, [str(problem) for problem in arrays["problems"]]
        return [fact.problem or found[rows[fact.digest]] for fact in self.facts]

    def arrays(self) -> Arrays:
        """`images` `[contents, h, w, c]`, zero where a file is damaged, and `problems`: why."""
        sizes = {(fact.height, fact.width) for fact in self.facts if not fact.problem}
        if not sizes:
            return {"images": np.zeros((0, 1, 1, 1), np.uint8), "problems": np.zeros(0, "U1")}
        size, canvas = next(iter(sizes)), self.settings.canvas
        keeps_size = len(sizes) == 1 and max(size) <= canvas
        shape = size if keeps_size else (canvas, canvas)
        decoders = (pillow_version, features.version("libjpeg_turbo"), features.version("webp"))
        key = content_key("folder", FORMAT, decoders, keeps_size, shape, list(self.rows))
        return cached_large_arrays(
            self.settings.cache_dir, key, lambda allocate: self._build(allocate, shape, None if keeps_size else canvas)
        )

    def _build(self, allocate: Allocate, shape: tuple[int, int], canvas: int | None) -> Arrays:
        rows, files = self.rows, self.listing.files
        first = {fact.digest: number for number, fact in reversed(list(enumerate(self.facts)))}
        has_colours = not all(fact.is_grey for fact in self.facts if not fact.problem)
        images = allocate("images", (len(rows), *shape, 3 if has_colours else 1))

        def decode(digest: str) -> tuple[str, bool]:
            path = self.listing.root / files[first[digest]].path
            try:
                data = photos.read_bytes(path)
            except photos.BadImageError as error:
                raise DataError(f"{self.uri.text}: {path} {error}, but could be a moment ago.") from error
            if hashlib.sha256(data).hexdigest() != digest:
                raise DataError(f"{self.uri.text}: {path} changed while it was read. Start again when it is complete.")
            try:
                image = photos.decode(data, canvas)
                if image.shape[:2] != shape:
                    return f"damaged: {image.shape[1]} x {image.shape[0]} pixels, its header says otherwise", True
            except photos.BadImageError as error:
                return str(error), True
            images[rows[digest]] = image
            return "", pixels.is_grey(image)

        progress = folder_index.Progress(self.settings.say, f"{self.uri.name}: decoded", len(rows))
        problems, is_grey = [], True
        with photos.quietly():
            for problem, is_image_grey in folder_index.in_threads(decode, rows):
                problems.append(problem)
                is_grey &= is_image_grey
                progress.step()
        return {"images": images[..., :1] if is_grey and has_colours else images, "problems": np.array(problems)}


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
        shown = ", ".join(map(repr, untrained[:_SHOWN])) + (", ..." if untrained[_SHOWN:] else "")
        raise DataError(
            f"{uri}: {len(untrained):,} of {len(listing.class_names):,} classes have no training image: {shown}. Each "
            "class of validation and test must be in train, under the same name."
        )
