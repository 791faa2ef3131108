"""Tasks from prepared TFDS data: splits in TFDS notation, and omniglot's two."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Int64

from munet.data import images as pixels
from munet.data.cache import cached_arrays, content_key
from munet.data.changed import CHANGES
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import (
    SPLITS,
    Source,
    Split,
    SplitName,
    Splits,
    check_sizes,
    content_order,
    split_by_rank,
    take_by_rank,
)
from munet.data.tfds import alphabets, prepared_stream, slices
from munet.data.tfds.prepared_set import PreparedSet, open_set
from munet.errors import DataError, nearest

FORMAT = 2  # of the decoded arrays in the cache; count up when decoding or splitting changes

_DEFAULT_SPLITS = {"train": "train[5%:]", "validation": "train[:5%]", "test": "test"}
_OMNIGLOT_PAPER = {"train": "train", "validation": "small1", "test": "small2"}
_OMNIGLOT_DRAWINGS = (14, 2, 4)  # of the 20 of each character, in the clean split
_OMNIGLOT_CLEAN = "train+test"
_MAX_CANVAS = 4096


def open_prepared(source: TaskUri, settings: OpenSettings) -> Source:
    """Opens a prepared set; images are decoded by `Source.load`.

    Args:
      source: its path is the name of the set, with its config (`mnist`, `cmaterdb/bangla`); its options are `train`,
        `validation`, `test`: splits in TFDS notation; of omniglot also `split`: `clean` or `paper`, or
        `alphabet` (`alphabets.py`); `canvas`: pixels, instead of the settings'.
      settings: the folder of prepared sets, the cache, the canvas, and how large a set may be that is not streamed.

    Raises:
      DataError: not prepared, not as array_record, no image classification set, or an unknown split.
    """
    uri, name, options = source.text, source.path, source.options
    if name == "omniglot" and "alphabet" in options:
        return alphabets.open_alphabet(source, settings, _canvas(uri, options.get("canvas"), settings.canvas))
    notation = _notation(uri, name, {key: value for key, value in options.items() if key != "canvas"})
    canvas = _canvas(uri, options.get("canvas"), settings.canvas)
    opened = open_set(uri, name, data_dir=settings.data_dir, canvas=canvas)
    notes: list[str] = []
    if notation is None:
        sizes = _clean_sizes(opened)
    else:
        asked = {str(split): options[split] for split in SPLITS if split in options}
        defaults = _OMNIGLOT_PAPER if name == "omniglot" else _DEFAULT_SPLITS
        notation, notes = slices.disjoint(opened, defaults, asked)
        sizes = {split: opened.num_examples(notation[split]) for split in SPLITS}
    check_sizes(uri, sizes)
    identity = [opened.identity(), _OMNIGLOT_DRAWINGS if notation is None else notation]
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def stream() -> Splits:
        key = content_key("tfds records", FORMAT, prepared_stream.FORMAT, fingerprint)
        arrays = cached_arrays(settings.cache_dir, key, lambda: _records(opened, notation, settings.say))
        return {
            split: Split(
                prepared_stream.streamed_images(
                    opened,
                    _OMNIGLOT_CLEAN if notation is None else notation[split],
                    arrays[f"{split}_records"],
                    int(arrays["channels"]),
                ),
                arrays[f"{split}_labels"],
            )
            for split in SPLITS
        }

    def build() -> dict[str, np.ndarray]:
        splits = _clean_splits(opened) if notation is None else _notation_splits(opened, notation)
        return {f"{split}_{part}": getattr(splits[split], part) for split in SPLITS for part in ("images", "labels")}

    def load() -> Splits:
        arrays = cached_arrays(settings.cache_dir, content_key("tfds", FORMAT, fingerprint), build)
        return {split: Split(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in SPLITS}

    is_streamed = sizes["train"] * math.prod(opened.image_shape) > settings.max_resident
    read = stream if is_streamed else load
    return Source(opened.class_names, sizes, fingerprint, read, tuple(notes), opened.num_bytes)


def _notation(uri: str, name: str, options: Mapping[str, str]) -> dict[str, str] | None:
    """The splits in TFDS notation; None means omniglot's clean split."""
    allowed = (*SPLITS, "canvas", *(["split", "alphabet"] if name == "omniglot" else []))
    for option in options:
        if option == "selection" and name == "omniglot":
            example = f"tfds:omniglot?alphabet=Korean&selection={options[option]}"
            raise DataError(f"{uri}: selection= goes with alphabet=NAME, e.g. {example}")
        if option not in allowed:
            allowed = (*allowed, *CHANGES)
            raise DataError(f"{uri}: there is no option {option!r}. {nearest(option, allowed)}")
    chosen = options.get("split")
    if chosen is not None and len(options) > 1:
        raise DataError(f"{uri}: give either split= or train=, validation= and test=, not both.")
    if chosen is not None and chosen not in ("clean", "paper"):
        raise DataError(f"{uri}: there is no split={chosen}. {nearest(chosen, ('clean', 'paper'))}")
    if name == "omniglot":
        if not options or chosen == "clean":
            return None
        return {**_OMNIGLOT_PAPER, **{key: value for key, value in options.items() if key != "split"}}
    return {**_DEFAULT_SPLITS, **options}


def _canvas(uri: str, given: str | None, default: int) -> int:
    """The option `canvas`: a set of small photos needs no larger canvas for the sake of other sets or image sizes."""
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= _MAX_CANVAS:
        raise DataError(f"{uri}: canvas={given}: expected pixels on a side, 1 to {_MAX_CANVAS:,}.")
    return int(given)


def _clean_sizes(opened: PreparedSet) -> dict[SplitName, int]:
    """Sizes of omniglot's clean split, which has the same number of drawings for every character."""
    total, expected = opened.num_examples(_OMNIGLOT_CLEAN), sum(_OMNIGLOT_DRAWINGS) * opened.num_classes
    if total != expected:
        raise DataError(
            f"{opened.uri}: train+test hold {total:,} drawings, expected {sum(_OMNIGLOT_DRAWINGS)} of each of "
            f"{opened.num_classes:,} characters. Prepare the set anew."
        )
    return {split: count * opened.num_classes for split, count in zip(SPLITS, _OMNIGLOT_DRAWINGS, strict=True)}


def _records(
    opened: PreparedSet, notation: Mapping[str, str] | None, say: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """The records and labels of each split of a set that is streamed, and its channels."""
    found = prepared_stream.survey(opened, [_OMNIGLOT_CLEAN] if notation is None else list(notation.values()), say)
    arrays: dict[str, np.ndarray] = {"channels": np.array(found.channels)}
    if notation is None:
        labels = dict.fromkeys(SPLITS, found.labels[_OMNIGLOT_CLEAN])
        every = np.arange(len(labels["train"]))
        whole = prepared_stream.streamed_images(opened, _OMNIGLOT_CLEAN, every, found.channels)
        records = split_by_rank(content_order(whole), labels["train"], **_num_drawings(opened, labels["train"]))
    else:
        labels = {split: found.labels[notation[split]] for split in SPLITS}
        records = {split: np.arange(len(labels[split])) for split in SPLITS}
    for split in SPLITS:
        arrays[f"{split}_records"] = records[split]
        arrays[f"{split}_labels"] = labels[split][records[split]].astype(np.int32)
    return arrays


def _clean_splits(opened: PreparedSet) -> Splits:
    """Omniglot by drawing: 14/2/4 of each character, in the order of the SHA-256 of the (one-channel) pixel bytes."""
    chunks, labels = opened.read(_OMNIGLOT_CLEAN)
    return take_by_rank(pixels.merge_channels(chunks), labels, **_num_drawings(opened, labels), seed=None)


def _num_drawings(opened: PreparedSet, labels: Int64[np.ndarray, " n"]) -> dict[str, Int64[np.ndarray, " classes"]]:
    """How many drawings of each character validate and test.

    Raises:
      DataError: a character has too few drawings, or too many.
    """
    counts = np.bincount(labels, minlength=opened.num_classes)
    if (counts != sum(_OMNIGLOT_DRAWINGS)).any():
        label = int(np.flatnonzero(counts != sum(_OMNIGLOT_DRAWINGS))[0])
        raise DataError(
            f"{opened.uri}: character {label} has {counts[label]} drawings, expected {sum(_OMNIGLOT_DRAWINGS)}."
        )
    every = np.ones(opened.num_classes, np.int64)
    return {"num_validation": every * _OMNIGLOT_DRAWINGS[1], "num_test": every * _OMNIGLOT_DRAWINGS[2]}


def _notation_splits(opened: PreparedSet, notation: Mapping[str, str]) -> Splits:
    read = {split: opened.read(notation[split]) for split in SPLITS}
    merged = pixels.equal_channels([pixels.merge_channels(chunks) for chunks, _ in read.values()])
    return {
        split: Split(np.ascontiguousarray(images), labels.astype(np.int32))
        for (split, (_, labels)), images in zip(read.items(), merged, strict=True)
    }
