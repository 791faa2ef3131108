"""Writes the four sets that no choice of the recipe has seen as folders of PNGs: two of photos, two of drawings.

    python docs/results/small_budgets/make_folders.py ../shared/tfds held_out

`animals` and `vehicles` are the classes of `cifar10_subset` (800 training and 200 test images each; munet cuts the
validation images out of training). `korean` and `hiragana` are alphabets of Omniglot, 20 drawings a character: 10
train, 4 validate, 6 test, by the order of a seeded permutation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

PHOTOS = {
    "animals": ("bird", "cat", "deer", "dog", "frog", "horse"),
    "vehicles": ("airplane", "automobile", "ship", "truck"),
}
ALPHABETS = {"korean": "Korean", "hiragana": "Japanese_(hiragana)"}
_ORDER = (("train", 10), ("validation", 4), ("test", 6))


class Example(NamedTuple):
    """An image and where it goes."""

    folder: Path  # of its task, split and class
    pixels: UInt8[np.ndarray, "h w 3"]


def photos(data_dir: Path) -> Iterator[Example]:
    """Those of `cifar10_subset`, by the groups of `PHOTOS`."""
    builder = tfds.builder("cifar10_subset", data_dir=data_dir)
    names = builder.info.features["label"].names
    task_of = {name: task for task, classes in PHOTOS.items() for name in classes}
    for split in ("train", "test"):
        for example in builder.as_data_source(split=split):
            name = names[example["label"]]
            yield Example(Path(task_of[name]) / split / name, example["image"])


def drawings(data_dir: Path) -> Iterator[Example]:
    """Those of the alphabets, 20 a character."""
    builder = tfds.builder("omniglot", data_dir=data_dir)
    alphabets = builder.info.features["alphabet"].names
    found: dict[Path, list[UInt8[np.ndarray, "h w 3"]]] = {}
    task_of = {alphabet: task for task, alphabet in ALPHABETS.items()}
    for split in ("train", "test"):
        for example in builder.as_data_source(split=split):
            task = task_of.get(alphabets[example["alphabet"]])
            if task:
                name = Path(task, f"character_{int(example['alphabet_char_id']):02d}")
                found.setdefault(name, []).append(example["image"])
    for name in sorted(found):
        images = iter([found[name][index] for index in np.random.default_rng(0).permutation(len(found[name]))])
        for split, count in _ORDER:
            for _ in range(count):
                yield Example(name.parent / split / name.name, next(images))


def main(data_dir: Path, target: Path) -> None:
    """Writes all four tasks below `target`."""
    for source in (photos, drawings):
        for index, (folder, pixels) in enumerate(source(data_dir)):
            (target / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(pixels)).save(target / folder / f"{index:05d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
