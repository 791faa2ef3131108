"""Splits of a labelled image set: content-hash order, stratified 80/10/10, and what every split must satisfy.

The order of a set is that of hashes of its images, so neither the order of files nor a class-sorted
source matters, and a split is a random sample that every machine draws alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int, Int32, UInt8

from munet.data.equal_images import digests_of, notes_on_equal_images
from munet.data.streamed import StreamedImages
from munet.errors import DataError
from munet.types import Objective, Unit

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

Images = UInt8[np.ndarray, "n h w c"] | StreamedImages

MAX_CLASSES = 1 << 16  # a larger label is a mistake (an id, a hash), not a class


@dataclass(frozen=True)
class Split:
    """Images and labels of one split, in an order that is part of the data set.

    Attributes:
      images: uint8 pixels; one channel if the whole set is grey, else three. Of a set that is streamed they are decoded
        whenever they are indexed.
      labels: class numbers, from 0.
    """

    images: Images
    labels: Int32[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def decoded(self) -> UInt8[np.ndarray, "n h w c"]:
        """All images as one array, in the host's memory."""
        return self.images if isinstance(self.images, np.ndarray) else self.images[:]


Splits = Mapping[SplitName, Split]
Labelled = tuple[UInt8[np.ndarray, "n h w c"], Int[np.ndarray, " n"]]  # images and their labels, in any order


@dataclass(frozen=True)
class Source:
    """What opening a data set gives, before anything needs to be decoded.

    Attributes:
      class_names: a name for each label, in label order.
      num_examples: images in each split.
      fingerprint: SHA-256 (hexadecimal) of the set's identity: two sets with the same one hold the same splits.
      load: decodes all three splits. May raise `DataError`.
      notes: what a user should know of it, a sentence each: files left out, images in two splits.
      num_bytes: of its files on disk; 0 where there are none.
      image_shape: height, width and channels of its decoded images; None where only decoding tells.
      objective: what is predicted: "" is a class; of others images and labels are inputs and targets: of a `value`
        float32 targets and no classes, of a `next_token` symbols and the symbols that follow, whose names are the
        classes.
      unit: of a `next_token` what a symbol is.
    """

    class_names: tuple[str, ...]
    num_examples: Mapping[SplitName, int]
    fingerprint: str
    load: Callable[[], Splits]
    notes: tuple[str, ...] = ()
    num_bytes: int = 0
    image_shape: tuple[int, int, int] | None = None
    objective: Objective = ""
    unit: Unit = "bytes"


def content_order(images: Images, seed: int | None = None) -> Int[np.ndarray, " n"]:
    """Indices that sort images by the SHA-256 of their pixel bytes, with `seed` before them unless it is None.

    Images of equal bytes keep their order.
    """
    prefix = b"" if seed is None else f"{seed}:".encode()
    hashes = [hashlib.sha256(prefix + image.tobytes()).digest() for image in images]
    return np.array(sorted(range(len(hashes)), key=hashes.__getitem__), dtype=np.int64)


def rank_in_class(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """For each example how many earlier ones have its label."""
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels[by_class]) if len(labels) else np.zeros(1, np.int64)
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return ranks


def take_by_rank(
    images: UInt8[np.ndarray, "n h w c"],
    labels: Int[np.ndarray, " n"],
    *,
    num_validation: Int[np.ndarray, " classes"],
    num_test: Int[np.ndarray, " classes"],
    seed: int | None,
) -> Splits:
    """Splits every class by content-hash order: the first images train, the next validate, the last test.

    Each split keeps the hash order over all classes, so that its first images are a fair sample (validation is capped).

    Args:
      images, labels: the whole set.
      num_validation, num_test: how many images of each class go there; the rest train.
      seed: of the hash; None: the hash of the pixels alone.
    """
    chosen = split_by_rank(content_order(images, seed), labels, num_validation=num_validation, num_test=num_test)
    return {name: Split(images[indices], labels[indices].astype(np.int32)) for name, indices in chosen.items()}


def split_by_rank(
    order: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    *,
    num_validation: Int[np.ndarray, " classes"],
    num_test: Int[np.ndarray, " classes"],
) -> dict[SplitName, Int[np.ndarray, " part"]]:
    """As `take_by_rank`, of indices: for each split those that go there, in the given order over all classes."""
    labels = labels[order]
    ranks = rank_in_class(labels)
    num_train = np.bincount(labels, minlength=len(num_test)) - num_validation - num_test
    is_train = ranks < num_train[labels]
    is_test = ranks >= (num_train + num_validation)[labels]
    return {"train": order[is_train], "validation": order[~is_train & ~is_test], "test": order[is_test]}


def tenth(counts: Int[np.ndarray, " classes"], at_least: int = 3) -> Int[np.ndarray, " classes"]:
    """A tenth of each class, but one image at least; none of a class of fewer than `at_least` images."""
    return np.where(counts >= at_least, np.maximum((counts + 5) // 10, 1), 0)


def carved_share(labels: Int[np.ndarray, " n"], num_classes: int, num_missing: int) -> Int[np.ndarray, " classes"]:
    """How many training images of each class go to each of `num_missing` splits; one at least stays to train."""
    return tenth(np.bincount(labels, minlength=num_classes), at_least=num_missing + 1)


def stratified(
    images: UInt8[np.ndarray, "n h w c"],
    labels: Int[np.ndarray, " n"],
    *,
    num_classes: int,
    seed: int,
    given: Mapping[SplitName, Labelled] = MappingProxyType({}),
) -> Splits:
    """80/10/10 within every class, by content-hash order with the seed.

    A class of three images or more has at least one in each split; a smaller one trains only.

    Args:
      images, labels: what is to be split.
      num_classes: labels are below this.
      seed: of the hash.
      given: validation or test images that are there already; then only the missing split is taken from `images`, a
        tenth as well. They are put in content-hash order too.
    """
    share, none = carved_share(labels, num_classes, 2 - len(given)), np.zeros(num_classes, np.int64)
    carved = take_by_rank(
        images,
        labels,
        num_validation=none if "validation" in given else share,
        num_test=none if "test" in given else share,
        seed=seed,
    )
    return {name: _ordered(*given[name], seed) if name in given else carved[name] for name in SPLITS}


def _ordered(images: UInt8[np.ndarray, "n h w c"], labels: Int[np.ndarray, " n"], seed: int) -> Split:
    order = content_order(images, seed)
    return Split(images[order], labels[order].astype(np.int32))


def source_of_arrays(
    uri: str,
    images: UInt8[np.ndarray, "n h w c"],
    labels: Int[np.ndarray, " n"],
    class_names: Sequence[str],
    *,
    seed: int,
    given: Mapping[SplitName, Labelled] = MappingProxyType({}),
) -> Source:
    """A source that is in memory already: checked, split with `stratified`, its fingerprint a hash of its pixels.

    Raises:
      DataError: labels out of range, or only one class.
    """
    check_labels(uri, labels, len(class_names))
    for name, (_, given_labels) in given.items():
        check_label_range(f"{uri} ({name})", given_labels, len(class_names))
    splits = stratified(images, labels, num_classes=len(class_names), seed=seed, given=given)
    hasher = hashlib.sha256("\0".join(class_names).encode())
    for name in SPLITS:
        part = splits[name]
        hasher.update(f"{name} {part.images.shape}".encode())
        hasher.update(np.ascontiguousarray(part.decoded).data)
        hasher.update(part.labels.astype("<i4").tobytes())
    sizes = {name: len(splits[name]) for name in SPLITS}
    height, width, channels = images.shape[1:]
    shape = (height, width, channels)
    notes = notes_on_equal_images(
        {name: digests_of(splits[name].decoded) for name in SPLITS},
        {name: splits[name].labels for name in SPLITS},
        "pixels",
    )
    return Source(tuple(class_names), sizes, hasher.hexdigest(), lambda: splits, notes, image_shape=shape)


def check_sizes(uri: str, sizes: Mapping[SplitName, int]) -> None:
    """Refuses a set with an empty split.

    Raises:
      DataError: naming the empty splits and the sizes of all.
    """
    empty = [name for name in SPLITS if not sizes[name]]
    if empty:
        counts = ", ".join(f"{name} {sizes[name]:,}" for name in SPLITS)
        raise DataError(
            f"{uri}: no {' and no '.join(empty)} images ({counts}). A task needs some in each split: about 10 images "
            "of each class, or other splits."
        )


def check_labels(uri: str, labels: Int[np.ndarray, " n"], num_classes: int) -> None:
    """Refuses labels outside `range(num_classes)` and a set with one class.

    Raises:
      DataError: naming the first wrong label and its index, or the only class.
    """
    check_label_range(uri, labels, num_classes)
    if len(labels) and (labels == labels[0]).all():
        raise DataError(f"{uri}: all {len(labels):,} images are of class {labels[0]}: a task needs at least 2 classes.")


def check_label_range(uri: str, labels: Int[np.ndarray, " n"], num_classes: int) -> None:
    """Refuses labels outside `range(num_classes)`.

    Raises:
      DataError: naming the first wrong label and its index.
    """
    if num_classes > MAX_CLASSES:
        raise DataError(
            f"{uri}: label {num_classes - 1:,} is too large: labels are class numbers 0, 1, ... below {MAX_CLASSES:,}."
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        index = int(wrong[0])
        raise DataError(
            f"{uri}: labels out of range: label {labels[index]} at index {index} ({len(wrong):,} such), expected 0 to "
            f"{num_classes - 1}."
        )
