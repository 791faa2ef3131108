"""Omniglot alphabet by alphabet: `tfds:omniglot?alphabet=Korean`, a task for each, whose classes are its characters.

The 20 drawings of a character are split by a seeded order: 10 train, 4 validate, 6 test. They are those of the splits
`train` and `test`, in which every drawing is once. `&selection=published` is what the code published with
"Flexible Multi-task Networks by Learning Parameter Allocation" reads: all four splits of TFDS, of which `small1` and
`small2` lie inside `train`. Some alphabets have every drawing twice then, and about half of what is tested was trained
on.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from munet import rng
from munet.data import images as pixels
from munet.data.cache import cached_arrays, content_key
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import SPLITS, Source, Split, Splits, split_by_rank
from munet.data.tfds.prepared_set import DAMAGES, PreparedSet, open_set
from munet.errors import DataError, nearest

OPTIONS = ("alphabet", "selection", "canvas")
_SELECTIONS = {"clean": ("train", "test"), "published": ("train", "test", "small1", "small2")}
_DRAWINGS = 20
_SHARES = {"validation": 4, "test": 6}  # of 20; the others train
_FORMAT = 1  # of the drawings in the cache


def open_alphabet(uri: TaskUri, settings: OpenSettings, canvas: int) -> Source:
    """Opens an alphabet; its drawings are read at once, or come from the cache.

    Args:
      uri: whose options are some of `OPTIONS`.
      settings: the folder of prepared sets, the cache, the seed of the order.
      canvas: pixels on a side that larger drawings are brought to.

    Raises:
      DataError: no such alphabet, selection or option, or a character has too few drawings.
    """
    for option in uri.options:
        if option not in OPTIONS:
            raise DataError(f"{uri.text}: an alphabet has no option {option!r}. {nearest(option, OPTIONS)}")
    selection = uri.options.get("selection", "clean")
    if selection not in _SELECTIONS:
        raise DataError(f"{uri.text}: there is no selection={selection}. {nearest(selection, _SELECTIONS)}")
    opened = open_set(uri.text, uri.path, data_dir=settings.data_dir, canvas=canvas)
    names = list(opened.builder.info.features["alphabet"].names)
    if (name := uri.options["alphabet"]) not in names:
        raise DataError(f"{uri.text}: omniglot has no alphabet {name!r}. {nearest(name, names)}")
    identity = hashlib.sha256(json.dumps([opened.identity(), name, selection]).encode()).hexdigest()
    key = content_key("alphabet", _FORMAT, identity)
    arrays = cached_arrays(settings.cache_dir, key, lambda: _drawings(opened, names.index(name), selection))
    images, labels = arrays["images"], arrays["labels"]
    counts = np.bincount(labels)
    if counts.min() < _DRAWINGS:
        wrong = int(counts.argmin())
        raise DataError(
            f"{uri.text}: character {wrong + 1} of {name} has {counts[wrong]} drawings, expected {_DRAWINGS} or more. "
            "Prepare the set anew."
        )
    order = rng.permutation(("alphabet", settings.seed, name), len(labels))
    shares = {split: counts * share // _DRAWINGS for split, share in _SHARES.items()}
    chosen = split_by_rank(order, labels, num_validation=shares["validation"], num_test=shares["test"])

    def load() -> Splits:
        return {split: Split(images[chosen[split]], labels[chosen[split]].astype(np.int32)) for split in SPLITS}

    notes: tuple[str, ...] = ()
    if doubles := len(images) - len({image.tobytes() for image in images}):
        notes = (f"{doubles} of {len(images)} drawings are there twice: what is tested may have been trained on",)
    return Source(
        class_names=tuple(f"character{number + 1:02d}" for number in range(len(counts))),
        num_examples={split: len(chosen[split]) for split in SPLITS},
        fingerprint=hashlib.sha256(f"{identity} {settings.seed}".encode()).hexdigest(),
        load=load,
        notes=notes,
        image_shape=(images.shape[1], images.shape[2], images.shape[3]),
    )


def _drawings(opened: PreparedSet, alphabet: int, selection: str) -> dict[str, np.ndarray]:
    """All drawings of an alphabet, in the order of the splits, and the numbers of their characters."""
    found, labels = [], []
    for split in _SELECTIONS[selection]:
        try:
            for examples in opened.examples(split):
                own = [example for example in examples if int(example["alphabet"]) == alphabet]
                found += [opened.decode(example[opened.image_key]) for example in own]
                labels += [int(example[opened.label_key]) for example in own]
        except DAMAGES as error:
            raise opened.damaged(split, error) from error
    _, numbers = np.unique(labels, return_inverse=True)
    return {"images": pixels.merge_channels([pixels.stack(found)]), "labels": numbers.astype(np.int64)}
