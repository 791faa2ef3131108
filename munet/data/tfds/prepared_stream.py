"""Prepared TFDS sets that are streamed: a first pass finds labels and channels, later records are read one by one.

Nothing is decoded into one array: what is kept of a set are its labels and the order of its records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from munet.data import images as pixels
from munet.data.folder.index import Progress
from munet.data.streamed import StreamedImages
from munet.data.tfds.prepared_set import DAMAGES, PreparedSet

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

FORMAT = 1  # of what the first pass found, in the cache; count up when it changes meaning

_OTHER_FILES = 256  # that a process has open beside its shards


@dataclass(frozen=True)
class Survey:
    """What the first pass over a set tells.

    Attributes:
      labels: of each split, by its notation.
      channels: one if every image is grey, else three.
    """

    labels: Mapping[str, Int64[np.ndarray, " n"]]
    channels: int


def survey(opened: PreparedSet, notations: Sequence[str], say: Callable[[str], None]) -> Survey:
    """Reads some splits once, a piece at a time; images are decoded only as long as all are grey.

    Raises:
      DataError: a file is damaged, or labels are out of range.
    """
    total = sum(opened.num_examples(notation) for notation in notations)
    progress = Progress(say, f"{opened.uri}: read", total)
    is_grey, labels = True, {}
    for notation in notations:
        found: list[int] = []
        try:
            for examples in opened.examples(notation):
                is_grey = is_grey and all(pixels.is_grey(opened.decode(one[opened.image_key])) for one in examples)
                for example in examples:
                    found.append(int(example[opened.label_key]))
                    progress.step()
        except DAMAGES as error:
            raise opened.damaged(notation, error) from error
        labels[notation] = opened.checked_labels(found)
    return Survey(labels, 1 if is_grey else 3)


def streamed_images(
    opened: PreparedSet, notation: str, records: Int64[np.ndarray, " n"], channels: int
) -> StreamedImages:
    """The images of some records of a split, decoded as they are asked for; a damaged one raises `DataError` then."""
    source: Any = opened.source(notation)
    _allow_open_files(sum(len(info.filepaths) for info in opened.builder.info.splits.values()))
    height, width, _ = opened.image_shape

    def read(numbers: Sequence[int]) -> list[pixels.Pixels]:
        try:
            # One by one: reading several at once starts threads for each call, and the callers are threads themselves.
            decoded = [opened.decode(source[number][opened.image_key]) for number in numbers]
            if wrong := [image.shape for image in decoded if image.shape[:2] != (height, width)]:
                raise ValueError(f"an image of {wrong[0][1]} x {wrong[0][0]} pixels, expected {width} x {height}")
        except DAMAGES as error:
            raise opened.damaged(notation, error) from error
        return decoded

    return StreamedImages(read, records, (height, width, channels))


def _allow_open_files(shards: int) -> None:
    """Raises this process's limit of open files, as far as it may: every shard of every split keeps one open."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * shards + _OTHER_FILES  # a set of three splits may read the same shards for each
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has a limit besides, which it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
