"""Options of a task URI that make another task of a set: turned images, fewer classes, another name.

`tfds:mnist?rotate=90` turns every image clockwise; `?without=3` leaves a class out, `?classes=0,4,9` all but some, and
the labels that are left are numbered anew, without a gap; `?name=mnist_again` is the same task by another name, so that
a run may have it twice. All of them may be combined.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from munet.data.cache import cached_arrays, content_key
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import SPLITS, Source, Split, Splits
from munet.errors import DataError, nearest

CHANGES = ("rotate", "without", "classes", "name")
_TURNS = ("90", "180", "270")
_NAME = re.compile(r"[\w.+/-]+")
_FORMAT = 1  # of the counts in the cache


def name_of(uri: str, task: str, options: Mapping[str, str]) -> str:
    """What a changed task is called: as it is asked for, else by its changes: `mnist/rotated_90`.

    Raises:
      DataError: it cannot be called so.
    """
    if "name" in options:
        if not _NAME.fullmatch(options["name"]):
            raise DataError(f"{uri}: name={options['name']}: expected letters, digits and _ . + - /.")
        return options["name"]
    words = {"rotate": "rotated", "without": "without", "classes": "classes"}
    parts = [f"{words[key]}_{options[key].replace(',', '_')}" for key in words if key in options]
    return "/".join([task, *parts])


def open_changed(uri: TaskUri, settings: OpenSettings, opener: Callable[[TaskUri, OpenSettings], Source]) -> Source:
    """Opens a set as its options change it; one that has none of these options as it is.

    A changed set is decoded as a whole, however large it is.

    Args:
      uri: with all options.
      settings: of opening.
      opener: of the set itself.

    Raises:
      DataError: the set cannot be opened, or not be changed so.
    """
    changes = {key: value for key, value in uri.options.items() if key in CHANGES}
    own = {key: value for key, value in uri.options.items() if key not in CHANGES}
    plain = replace(uri, options=own)
    if not changes.keys() - {"name"}:
        return opener(plain, settings)
    turns = _turns(uri.text, changes.get("rotate"))
    source = opener(plain, replace(settings, max_resident=float("inf")))
    if source.objective:
        raise DataError(f"{uri.text}: only images and their classes can be changed by options; remove them.")
    kept = _kept(uri.text, source.class_names, changes)
    identity = [source.fingerprint, kept, turns]
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def load() -> Splits:
        return {name: _changed(split, kept, turns) for name, split in source.load().items()}

    def counts() -> dict[str, np.ndarray]:
        return {name: np.array(len(split)) for name, split in load().items()}

    sizes = source.num_examples
    if len(kept) < len(source.class_names):  # only the labels tell how many are left
        found = cached_arrays(settings.cache_dir, content_key("changed", _FORMAT, fingerprint), counts)
        sizes = {name: int(found[name]) for name in SPLITS}
    shape = source.image_shape
    if shape is not None and turns % 2:
        shape = (shape[1], shape[0], shape[2])
    names = tuple(source.class_names[label] for label in kept)
    return Source(names, sizes, fingerprint, load, source.notes, source.num_bytes, shape)


def _turns(uri: str, given: str | None) -> int:
    """Quarters of a turn, clockwise."""
    if given is None:
        return 0
    if given not in _TURNS:
        raise DataError(f"{uri}: rotate={given}: images are turned clockwise by 90, 180 or 270 degrees.")
    return int(given) // 90


def _kept(uri: str, names: Sequence[str], changes: Mapping[str, str]) -> list[int]:
    """The labels that are left, in the set's order."""
    labels = list(range(len(names)))
    if "classes" in changes:
        chosen = [_label(uri, "classes", name, names) for name in changes["classes"].split(",")]
        if len(set(chosen)) < len(chosen):
            raise DataError(f"{uri}: classes={changes['classes']} names a class twice.")
        labels = sorted(chosen)
    for name in changes["without"].split(",") if "without" in changes else ():
        label = _label(uri, "without", name, names)
        if label not in labels:
            raise DataError(f"{uri}: without={name}: that class is not there any more.")
        labels.remove(label)
    if len(labels) < 2:
        left = f"only class {names[labels[0]]!r}" if labels else "no class"
        raise DataError(f"{uri}: {left} of {len(names)} would be left, and a task needs at least 2.")
    return labels


def _label(uri: str, option: str, name: str, names: Sequence[str]) -> int:
    """The label of a class that is given by its name or its number."""
    if name in names:
        return list(names).index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise DataError(f"{uri}: {option}={name}: there is no such class. {nearest(name, names)}")


def _changed(split: Split, kept: Sequence[int], turns: int) -> Split:
    images, labels = split.decoded, split.labels
    numbers = np.full(max(int(labels.max(initial=0)) + 1, max(kept) + 1), -1, np.int32)
    numbers[list(kept)] = np.arange(len(kept))
    if (numbers[labels] < 0).any():
        is_kept = numbers[labels] >= 0
        images, labels = images[is_kept], labels[is_kept]
    if turns:
        images = np.ascontiguousarray(np.rot90(images, k=-turns, axes=(1, 2)))
    return Split(images, numbers[labels])
