"""Tasks from Hugging Face `datasets`: `hf:NAME`, `hf:/folder`; splits of their own, or carved like the house does.

The library is an extra (`pip install -e '.[hf]'` in the checkout). Options: `config`, `revision`, `train`, `validation`
and `test` (splits in its notation, such as `train[10%:]`), `image` and `label` (columns), `range` (black and white).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int64

from munet.data import images as pixels
from munet.data.cache import cached_arrays, content_key
from munet.data.equal_images import notes_on_equal_images
from munet.data.hub.hub_set import HubSet, Rows, open_set
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import (
    MAX_CLASSES,
    SPLITS,
    Labelled,
    Source,
    Split,
    SplitName,
    Splits,
    carved_share,
    check_label_range,
    check_labels,
    stratified,
)
from munet.errors import DataError, nearest

FORMAT = 1  # part of every fingerprint: count up where all runs on such sets are to be refused
CONTENT = 2  # of the hashes of encoded images in the cache; count up when more is kept
DECODING = 2  # of the decoded arrays in the cache; count up when decoding or splitting changes

OPTIONS = ("config", "revision", "train", "validation", "test", "image", "label", "range")
_OWN_NAMES: dict[SplitName, tuple[str, ...]] = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}

Labels = Int64[np.ndarray, " _"]


def open_hugging_face(uri: TaskUri, settings: OpenSettings) -> Source:
    """Opens a set; images are decoded by `Source.load`.

    Its own train, validation and test split are used where they are there. What is missing is taken from the training
    images, a tenth of each class, by content hash.

    Raises:
      DataError: not installed, not there and not reachable, no image classification set, or an unknown split.
    """
    for option in uri.options:
        if option not in OPTIONS:
            raise DataError(f"{uri.text}: there is no option {option!r}. {nearest(option, OPTIONS)}")
    opened = open_set(uri.text, uri.path, uri.options, settings.say)
    rows = _splits(opened, uri.options)
    class_names, labels = _labels(opened, rows)
    canvas, seed = settings.canvas, settings.seed
    # Reading every byte of a large set takes a while, so what was read is remembered as long as the files are the same.
    state = {split: opened.state(part) for split, part in rows.items()}
    every = [part for parts in rows.values() for part in parts]
    outside = opened.outside(every)
    content = cached_arrays(
        settings.cache_dir, content_key("hf content", CONTENT, opened.image, state), lambda: _content(opened, rows)
    )
    digests = {split: [row.tobytes() for row in content[f"{split}_images"]] for split in rows}
    identity = [
        {split: [str(content[split]), _digest(labels[split])] for split in rows},
        class_names,
        canvas,
        seed,
        FORMAT,
        *([uri.options["range"]] if "range" in uri.options else []),
    ]
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def build() -> dict[str, np.ndarray]:
        splits = _decoded(opened, rows, labels, len(class_names), canvas, seed)
        if opened.outside(every) != outside:  # what is kept must be what the fingerprint says
            raise DataError(f"{uri.text}: its files changed while they were read. Start again when it is complete.")
        return {f"{split}_{part}": getattr(splits[split], part) for split in SPLITS for part in ("images", "labels")}

    def load() -> Splits:
        arrays = cached_arrays(settings.cache_dir, content_key("hf", DECODING, fingerprint), build)
        return {split: Split(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in SPLITS}

    notes = notes_on_equal_images(digests, labels, "files")  # of the set's own splits: others are not drawn yet
    return Source(class_names, _sizes(labels, len(class_names)), fingerprint, load, notes)


def _splits(opened: HubSet, options: Mapping[str, str]) -> dict[SplitName, tuple[Rows, ...]]:
    """The rows of each split; those that are to be carved from the training images are left out.

    Raises:
      DataError: no such split, no obvious training split, or splits that overlap.
    """
    names = list(opened.splits)
    if "train" not in options and "train" not in names and len(names) > 1:
        raise DataError(f"{opened.uri}: which split is to train? Say ?train=NAME. {opened.listed}")
    train = opened.rows(options.get("train") or ("train" if "train" in names else names[0]))
    rows: dict[SplitName, tuple[Rows, ...]] = {"train": train}
    in_training = {part.split for part in train}
    for split in SPLITS[1:]:
        own = next((name for name in _OWN_NAMES[split] if name in names and name not in in_training), None)
        notation = options.get(split) or own
        if notation is not None:
            rows[split] = opened.rows(notation)
    for first, second in combinations(rows, 2):
        for one in rows[first]:
            for other in rows[second]:
                shared = min(one.stop, other.stop) - max(one.start, other.start)
                if one.split == other.split and shared > 0:
                    raise DataError(
                        f"{opened.uri}: {first} and {second} share {shared:,} images of split {one.split!r}: take them "
                        f"out of one, e.g. ?train=train[10%:]&validation=train[:10%]."
                    )
    return rows


def _labels(
    opened: HubSet, rows: Mapping[SplitName, Sequence[Rows]]
) -> tuple[tuple[str, ...], dict[SplitName, Labels]]:
    """Class names, and the labels of each split as class numbers.

    Raises:
      DataError: missing labels, too many classes, or labels out of range.
    """
    raw = {split: opened.labels(part) for split, part in rows.items()}
    for split, values in raw.items():
        if None in values or (values and all(value == -1 for value in values)):
            raise DataError(
                f"{opened.uri}: {'some' if None in values else 'all'} images of {split} have no label. Say which "
                f"splits have some: ?train=...&validation=...&test=... {opened.listed}"
            )
    is_text = any(isinstance(value, str) for values in raw.values() for value in values)
    if is_text:
        class_names = tuple(sorted({str(value) for values in raw.values() for value in values}))
        number = {name: index for index, name in enumerate(class_names)}
        labels = {split: np.array([number[str(v)] for v in values], np.int64) for split, values in raw.items()}
    else:
        labels = {split: np.array(values, np.int64) for split, values in raw.items()}
        largest = max(int(part.max(initial=-1)) for part in labels.values())
        class_names = opened.class_names or tuple(map(str, range(min(largest, MAX_CLASSES) + 1)))
    if len(class_names) > MAX_CLASSES:
        raise DataError(
            f"{opened.uri}: column {opened.label!r} has more than {MAX_CLASSES:,} different values, too many for "
            "classes: choose another, ?label=NAME."
        )
    for split, part in labels.items():
        check = check_labels if split == "train" else check_label_range
        check(f"{opened.uri} ({split})", part, len(class_names))
    return class_names, labels


def _sizes(labels: Mapping[SplitName, Labels], num_classes: int) -> dict[SplitName, int]:
    """Images in each split, as `stratified` carves them."""
    num_missing = len(SPLITS) - len(labels)
    carved = int(carved_share(labels["train"], num_classes, num_missing).sum())
    sizes = {split: len(labels[split]) if split in labels else carved for split in SPLITS}
    return {**sizes, "train": sizes["train"] - carved * num_missing}


def _content(opened: HubSet, rows: Mapping[SplitName, Sequence[Rows]]) -> dict[str, np.ndarray]:
    """By split: the hash of its encoded images, and of each of them."""
    found = {split: opened.content(part) for split, part in rows.items()}
    each = {f"{split}_images": np.frombuffer(b"".join(own), np.uint8) for split, (_, own) in found.items()}
    return {split: np.array(whole) for split, (whole, _) in found.items()} | {
        name: digests.reshape(-1, hashlib.sha256().digest_size) for name, digests in each.items()
    }


def _digest(labels: Labels) -> str:
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def _decoded(
    opened: HubSet,
    rows: Mapping[SplitName, Sequence[Rows]],
    labels: Mapping[SplitName, Labels],
    num_classes: int,
    canvas: int,
    seed: int,
) -> Splits:
    """All three splits, each in content-hash order."""
    every = opened.images([part for parts in rows.values() for part in parts], canvas)
    ends = np.cumsum([len(labels[split]) for split in rows])[:-1]
    given: dict[SplitName, Labelled] = {
        split: (images, labels[split]) for split, images in zip(rows, np.split(every, ends), strict=True)
    }
    train = given.pop("train")
    splits = stratified(*train, num_classes=num_classes, seed=seed, given=given)
    return {
        name: Split(images, splits[name].labels)
        for name, images in zip(SPLITS, pixels.equal_channels([splits[name].decoded for name in SPLITS]), strict=True)
    }
