"""Prepared TFDS data sets in array_record form, read without TensorFlow (DESIGN decision 10; spec section 7.1).

A set is found by its folder, `<data_dir>/<name>/<version>`, so sets that TFDS has no builder class for can be read too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from jaxtyping import Int64, UInt8

from munet.data import images as pixels
from munet.data.cache import cached_arrays, content_key
from munet.data.splits import SPLITS, Source, Split, SplitName, Splits, check_labels, check_sizes, take_by_rank
from munet.errors import DataError, nearest

FORMAT = 1  # of the decoded arrays in the cache; count up when decoding or splitting changes
_CHUNK = 1000  # examples read at a time

_DEFAULT_SPLITS = {"train": "train[5%:]", "validation": "train[:5%]", "test": "test"}
_OMNIGLOT_PAPER = {"train": "train", "validation": "small1", "test": "small2"}
_OMNIGLOT_DRAWINGS = (14, 2, 4)  # of the 20 of each character, in the clean split
_OMNIGLOT_CLEAN = "train+test"


@dataclass(frozen=True)
class _Prepared:
    """An opened builder with the features that make it a classification task."""

    uri: str
    builder: Any  # tfds.core.ReadOnlyBuilder
    image_key: str
    label_key: str
    canvas: int  # 0: images keep their size

    @property
    def num_classes(self) -> int:
        return int(self.builder.info.features[self.label_key].num_classes)

    def num_examples(self, notation: str) -> int:
        """Size of a split, e.g. `train[5%:]`.

        Raises:
          DataError: no such split, or no such notation; the splits are listed.
        """
        splits = self.builder.info.splits
        try:
            return int(splits[notation].num_examples)
        except (ValueError, KeyError) as error:
            listed = ", ".join(f"{name} ({info.num_examples:,})" for name, info in splits.items())
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{self.uri}: split {notation!r} cannot be read: {reason} The set has the splits {listed}; say e.g. "
                "tfds:NAME?train=train[5%:]&validation=train[:5%]&test=test."
            ) from None


def open_prepared(
    uri: str, name: str, options: Mapping[str, str], *, data_dir: str, cache_dir: str, canvas: int
) -> Source:
    """Opens a prepared set; images are decoded by `Source.load`.

    Args:
      uri: the task, for messages.
      name: of the set, with its config: `mnist`, `cmaterdb/bangla`.
      options: `train`, `validation`, `test`: splits in TFDS notation; of omniglot also `split`: `clean` or `paper`.
      data_dir: the folder of prepared sets; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: as for `cache.folder`.
      canvas: images of varying size, or larger ones, are squashed to this many pixels on a side.

    Raises:
      DataError: not prepared, not as array_record, no image classification set, or an unknown split.
    """
    builder = _builder(uri, name, data_dir)
    image_key, label_key = _feature_keys(uri, builder.info)
    shape = builder.info.features[image_key].shape
    is_squashed = None in shape[:2] or max(shape[:2]) > canvas
    opened = _Prepared(uri, builder, image_key, label_key, canvas if is_squashed else 0)
    notation = _notation(uri, name, options)
    if notation is None:
        sizes = _clean_sizes(opened)
        split_text: Mapping[str, str] = {"clean": "/".join(map(str, _OMNIGLOT_DRAWINGS))}
    else:
        sizes = {split: opened.num_examples(notation[split]) for split in SPLITS}
        split_text = {split: notation[split] for split in SPLITS}
    check_sizes(uri, sizes)

    files = {
        split: [epath.Path(path).stat().length for path in info.filepaths]
        for split, info in sorted(builder.info.splits.items())
    }
    counts = {split: info.num_examples for split, info in sorted(builder.info.splits.items())}
    identity = [builder.info.full_name, counts, files, dict(split_text), opened.canvas]
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def build() -> dict[str, np.ndarray]:
        splits = _clean_splits(opened) if notation is None else _notation_splits(opened, notation)
        return {f"{split}_{part}": getattr(splits[split], part) for split in SPLITS for part in ("images", "labels")}

    def load() -> Splits:
        arrays = cached_arrays(cache_dir, content_key("tfds", FORMAT, fingerprint), build)
        return {split: Split(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in SPLITS}

    class_names = tuple(str(label) for label in builder.info.features[label_key].names)
    return Source(class_names, sizes, fingerprint, load)


def folder(data_dir: str) -> epath.Path:
    """The folder of prepared sets that a `data_dir` setting means."""
    return epath.Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared_names(root: epath.Path) -> list[str]:
    """Names of the sets prepared under `root`, e.g. `cmaterdb/bangla`."""
    if not root.is_dir():
        return []
    infos = [*root.glob("*/*/dataset_info.json"), *root.glob("*/*/*/dataset_info.json")]
    return sorted({"/".join(path.parent.parent.relative_to(root).parts) for path in infos})


def _builder(uri: str, name: str, data_dir: str) -> Any:
    """The read-only builder of the newest prepared version."""
    root = folder(data_dir)
    versions = [path.parent for path in root.glob(f"{name}/*/dataset_info.json")] if root.is_dir() else []
    versions = [path for path in versions if tfds.core.Version.is_valid(path.name)]
    if not versions:
        names = prepared_names(root)
        near = nearest(name, names).replace("Valid:", "Prepared there:") if names else "Nothing is prepared there."
        raise DataError(
            f"{uri}: the set {name!r} is not prepared in {root}. {near} To prepare it: pip install "
            f"'munet[tfds-prepare]' && tfds build {name} --file_format=array_record --data_dir={root}. To search another folder: runtime.data_dir or $TFDS_DATA_DIR."
        )
    builder = tfds.builder_from_directory(max(versions, key=lambda path: tfds.core.Version(path.name)))
    if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
        raise DataError(
            f"{uri}: {builder.data_path} is in {builder.info.file_format.value} form, expected array_record. "
            f"Prepare it anew: tfds build {name} --file_format=array_record --data_dir={root} (in an empty folder)."
        )
    return builder


def _feature_keys(uri: str, info: Any) -> tuple[str, str]:
    """Names of the image and the label: the supervised pair, else the only ones there are."""
    images = [key for key, feature in info.features.items() if isinstance(feature, tfds.features.Image)]
    labels = [key for key, feature in info.features.items() if type(feature) is tfds.features.ClassLabel]
    pair = info.supervised_keys if isinstance(info.supervised_keys, tuple) else None
    if pair is not None and len(pair) == 2 and pair[0] in images and pair[1] in labels:
        return pair[0], pair[1]
    if len(images) != 1 or len(labels) != 1:
        raise DataError(
            f"{uri}: no image classification set: it has the images {images} and the class labels {labels}, expected "
            "one of each."
        )
    return images[0], labels[0]


def _notation(uri: str, name: str, options: Mapping[str, str]) -> dict[str, str] | None:
    """The splits in TFDS notation; None means omniglot's clean split."""
    allowed = (*SPLITS, "split") if name == "omniglot" else SPLITS
    for option in options:
        if option not in allowed:
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


def _clean_sizes(opened: _Prepared) -> dict[SplitName, int]:
    """Sizes of omniglot's clean split, which has the same number of drawings for every character."""
    total, expected = opened.num_examples(_OMNIGLOT_CLEAN), sum(_OMNIGLOT_DRAWINGS) * opened.num_classes
    if total != expected:
        raise DataError(
            f"{opened.uri}: train+test hold {total:,} drawings, expected {sum(_OMNIGLOT_DRAWINGS)} of each of "
            f"{opened.num_classes:,} characters. Prepare the set anew."
        )
    return {split: count * opened.num_classes for split, count in zip(SPLITS, _OMNIGLOT_DRAWINGS, strict=True)}


def _clean_splits(opened: _Prepared) -> Splits:
    """Omniglot by drawing: 14/2/4 of each character, in the order of the SHA-256 of the (one-channel) pixel bytes."""
    chunks, labels = _read(opened, _OMNIGLOT_CLEAN)
    counts = np.bincount(labels, minlength=opened.num_classes)
    if (counts != sum(_OMNIGLOT_DRAWINGS)).any():
        label = int(np.flatnonzero(counts != sum(_OMNIGLOT_DRAWINGS))[0])
        raise DataError(
            f"{opened.uri}: character {label} has {counts[label]} drawings, expected {sum(_OMNIGLOT_DRAWINGS)}."
        )
    every = np.ones(opened.num_classes, np.int64)
    return take_by_rank(
        pixels.merge_channels(chunks),
        labels,
        num_validation=every * _OMNIGLOT_DRAWINGS[1],
        num_test=every * _OMNIGLOT_DRAWINGS[2],
        seed=None,
    )


def _notation_splits(opened: _Prepared, notation: Mapping[str, str]) -> Splits:
    read = {split: _read(opened, notation[split]) for split in SPLITS}
    is_grey = all(pixels.is_grey(chunk) for chunks, _ in read.values() for chunk in chunks)
    splits = {}
    for split, (chunks, labels) in read.items():
        merged = pixels.merge_channels(chunks)
        if not is_grey and merged.shape[-1] == 1:
            merged = np.repeat(merged, 3, axis=-1)  # another split has colours
        splits[split] = Split(merged, labels.astype(np.int32))
    return splits


def _read(opened: _Prepared, notation: str) -> tuple[list[UInt8[np.ndarray, "_ h w _"]], Int64[np.ndarray, " n"]]:
    """Decodes a split: chunks of images, grey ones with a single channel, and all labels."""
    chunks: list[UInt8[np.ndarray, "_ h w _"]] = []
    labels: list[int] = []
    try:
        for examples in _examples(opened, notation):
            decoded = [pixels.decode(example[opened.image_key]) for example in examples]
            if opened.canvas:
                decoded = [pixels.squash(image, opened.canvas) for image in decoded]
            chunks.append(pixels.stack(decoded))
            labels += [int(example[opened.label_key]) for example in examples]
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{opened.uri}: split {notation!r} in {opened.builder.data_path} is damaged ({error}). "
            "Prepare the set anew."
        ) from error
    array = np.array(labels, np.int64)
    check_labels(opened.uri, array, opened.num_classes)
    return chunks, array


def _examples(opened: _Prepared, notation: str) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The examples of a split in lists, images still encoded: ours is the faster decoder and keeps grey grey."""
    source = opened.builder.as_data_source(notation, decoders={opened.image_key: tfds.decode.SkipDecoding()})
    for start in range(0, len(source), _CHUNK):
        yield source.__getitems__(list(range(start, min(start + _CHUNK, len(source)))))
