"""What `munet data --check_leaks TASK...` says: how many images are in more than one split, by hash of their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from munet.data.splits import SPLITS, Split, SplitName
from munet.data.tasks import Task


@dataclass(frozen=True)
class Leaks:
    """Equal images of a task. An image counts as often as it occurs in the split that is named first.

    Attributes:
      validation_in_train, test_in_train, test_in_validation: images of the first split that are in the second too.
      test_seen: test images that are in train or validation.
      repeated: images of train and validation together that occurred before in them.
      contradictory: images, of all splits, whose pixels occurred before with another label.
    """

    validation_in_train: int
    test_in_train: int
    test_in_validation: int
    test_seen: int
    repeated: int
    contradictory: int


def check_leaks(task: Task) -> Leaks:
    """Counts the equal images of a task, which is decoded.

    Raises:
      DataError: the images cannot be decoded.
    """
    with task.testing():  # about the data itself: nothing is decided by it
        hashes = {name: _hashes(task.split(name)) for name in SPLITS}
        labels = {name: task.split(name).labels.tolist() for name in SPLITS}
    seen = hashes["train"] + hashes["validation"]
    return Leaks(
        validation_in_train=_count(hashes, "validation", "train"),
        test_in_train=_count(hashes, "test", "train"),
        test_in_validation=_count(hashes, "test", "validation"),
        test_seen=sum(map(set(seen).__contains__, hashes["test"])),
        repeated=len(seen) - len(set(seen)),
        contradictory=_contradictory(hashes, labels),
    )


def leaks_table(tasks: Sequence[Task]) -> Table:
    """A table with a row for each task; decodes one task after the other."""
    table = Table(
        title="Equal images, by hash of their decoded pixels", title_justify="left", title_style="bold",
        caption="How many images of the first split are in the second too. repeated: those of train and validation "
        "together that occurred before; other label: all that occurred before under another label.",
        caption_justify="left",
    )  # fmt: skip
    table.add_column("task", style="bold", overflow="fold")
    for heading in (
        "validation in train", "test in train", "test in validation", "test in either", "repeated", "other label",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for task in tasks:
        leaks = check_leaks(task)
        info = task.info
        table.add_row(
            escape(info.uri),
            f"{leaks.validation_in_train:,} of {info.num_validation:,}",
            f"{leaks.test_in_train:,} of {info.num_test:,}",
            f"{leaks.test_in_validation:,}",
            f"{leaks.test_seen:,}",
            f"{leaks.repeated:,}",
            f"{leaks.contradictory:,}",
        )
        task.release()
    return table


def _hashes(split: Split) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in split.images]


def _count(hashes: Mapping[SplitName, list[bytes]], name: SplitName, other: SplitName) -> int:
    return sum(map(set(hashes[other]).__contains__, hashes[name]))


def _contradictory(hashes: Mapping[SplitName, list[bytes]], labels: Mapping[SplitName, list[int]]) -> int:
    first: dict[bytes, int] = {}
    return sum(
        first.setdefault(image, label) != label
        for name in SPLITS
        for image, label in zip(hashes[name], labels[name], strict=True)
    )
