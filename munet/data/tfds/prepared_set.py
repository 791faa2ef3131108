"""A prepared TFDS data set on disk: finding, opening and decoding it without TensorFlow.

A set is found by its folder, `<data_dir>/<name>/<version>`, so sets that TFDS has no builder class for can be read too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from jaxtyping import Int64, UInt8

from munet.data import conversion
from munet.data import images as pixels
from munet.data.labels import ONE_CLASS
from munet.data.splits import check_labels
from munet.data.tfds.missing_sets import MissingSetError
from munet.errors import DataError
from munet.paths import expanded

DAMAGES = (
    OSError,
    ValueError,
    RuntimeError,
    conversion.BadImageError,
)  # what reading and decoding damaged records raises
_CHUNK = 1000  # examples read at a time


@dataclass(frozen=True)
class PreparedSet:
    """An opened set with the features that make it a classification task.

    Attributes:
      uri: the task, for messages.
      builder: TFDS's read-only builder.
      image_key, label_key: names of the two features.
      canvas: images are squashed to this many pixels on a side; 0: they all have one size and keep it.
    """

    uri: str
    builder: Any  # tfds.core.ReadOnlyBuilder, which has no types
    image_key: str
    label_key: str
    canvas: int

    @property
    def num_classes(self) -> int:
        """Number of classes that the set's labels tell apart."""
        return int(self.builder.info.features[self.label_key].num_classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels; numbers where the set has no names."""
        return tuple(str(name) for name in self.builder.info.features[self.label_key].names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the set's own splits."""
        return tuple(self.builder.info.splits)

    @property
    def splits_listed(self) -> str:
        """The set's own splits with their sizes, and options that would do, for messages."""
        sizes = {name: int(info.num_examples) for name, info in self.builder.info.splits.items()}
        train = "train" if "train" in sizes else max(sizes, key=lambda name: sizes[name])
        others = [name for name in sizes if name != train]
        test = "test" if "test" in others else others[0] if others else f"{train}[90%:]"
        rest = f"{train}[5%:]" if others else f"{train}[5%:90%]"
        listed = ", ".join(f"{name} ({size:,})" for name, size in sizes.items())
        return f"The set has the splits {listed}; say e.g. tfds:NAME?train={rest}&validation={train}[:5%]&test={test}."

    def num_examples(self, notation: str) -> int:
        """Size of a split, e.g. `train[5%:]`.

        Raises:
          DataError: no such split, or no such notation; the splits are listed.
        """
        return sum(stop - start for _, start, stop in self.intervals(notation))

    def intervals(self, notation: str) -> list[tuple[str, int, int]]:
        """The examples that a notation means: name of the split, first, and end of each part.

        Raises:
          DataError: as for `num_examples`.
        """
        try:
            # In the order in which they are read; a split that is empty cannot be sliced.
            found = tfds.core.ReadInstruction.from_spec(notation).to_absolute(dict(self.builder.info.splits))
            sizes = {name: int(info.num_examples) for name, info in self.builder.info.splits.items()}
            return [
                (part.splitname, part.from_ or 0, sizes[part.splitname] if part.to is None else part.to)
                for part in found
            ]
        except (ValueError, KeyError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{self.uri}: split {notation!r} cannot be read: {reason} {self.splits_listed}") from None

    def identity(self) -> list[object]:
        """What tells this set from any other without reading it: name, version, sizes of splits and of files.

        Raises:
          DataError: a file is missing.
        """
        splits = []
        for name, info in sorted(self.builder.info.splits.items()):
            try:
                sizes = [epath.Path(path).stat().length for path in info.filepaths]
            except FileNotFoundError as error:
                raise DataError(f"{self.uri}: {error.filename} is missing. Prepare the set anew.") from error
            splits.append([name, int(info.num_examples), sizes])
        return [self.builder.info.full_name, splits, self.canvas]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of its images, as far as it is known before they are decoded: grey ones may be stored as colour."""
        height, width, channels = self.builder.info.features[self.image_key].shape
        return (self.canvas, self.canvas, channels or 3) if self.canvas else (height, width, channels or 3)

    @property
    def num_bytes(self) -> int:
        """Size of its files on disk, all splits together."""
        return sum(int(info.num_bytes) for info in self.builder.info.splits.values())

    def read(self, notation: str) -> tuple[list[UInt8[np.ndarray, "_ h w _"]], Int64[np.ndarray, " n"]]:
        """Decodes a split: chunks of images, grey ones with a single channel, and all labels.

        Raises:
          DataError: a file is damaged, or labels are out of range.
        """
        chunks: list[UInt8[np.ndarray, "_ h w _"]] = []
        labels: list[int] = []
        try:
            for examples in self.examples(notation):
                chunks.append(pixels.stack([self.decode(example[self.image_key]) for example in examples]))
                labels += [int(example[self.label_key]) for example in examples]
        except DAMAGES as error:
            raise self.damaged(notation, error) from error
        return chunks, self.checked_labels(labels)

    def decode(self, data: bytes) -> pixels.Pixels:
        """The pixels of one encoded image, on the canvas; raises any of `DAMAGES`."""
        image = conversion.decode_unturned(data)
        return pixels.squash(image, self.canvas) if self.canvas else image

    def checked_labels(self, labels: Sequence[int]) -> Int64[np.ndarray, " n"]:
        """The labels of a split as an array; raises `DataError` for those out of range."""
        array = np.array(labels, np.int64)
        check_labels(self.uri, array, self.num_classes)
        return array

    def damaged(self, notation: str, error: BaseException) -> DataError:
        """What to say of a split that cannot be read or decoded."""
        return DataError(
            f"{self.uri}: split {notation!r} in {self.builder.data_path} is damaged ({error}). Prepare the set anew."
        )

    def source(self, notation: str) -> Any:
        """Random access to examples, images still encoded: our own decoding is faster and keeps grey images grey."""
        return self.builder.as_data_source(notation, decoders={self.image_key: tfds.decode.SkipDecoding()})

    def examples(self, notation: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Lists of examples, in order."""
        source = self.source(notation)
        for start in range(0, len(source), _CHUNK):
            yield source.__getitems__(list(range(start, min(start + _CHUNK, len(source)))))


def open_set(uri: str, name: str, *, data_dir: str, canvas: int) -> PreparedSet:
    """Opens the newest prepared version of a set.

    Args:
      uri: the task, for messages.
      name: of the set, with its config: `mnist`, `cmaterdb/bangla`.
      data_dir: as for `folder`.
      canvas: images of varying size, or larger ones, are squashed to this many pixels on a side.

    Raises:
      MissingSetError: not prepared.
      DataError: not as array_record, or no image classification set.
    """
    builder = _builder(uri, name, data_dir)
    image_key, label_key = _feature_keys(uri, builder.info)
    height, width = builder.info.features[image_key].shape[:2]
    has_one_size = height is not None and width is not None and max(height, width) <= canvas
    return PreparedSet(uri, builder, image_key, label_key, 0 if has_one_size else canvas)


def sets_folder(data_dir: str) -> epath.Path:
    """The folder of prepared sets that a `data_dir` setting means."""
    place = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return epath.Path(expanded(place) if place.startswith("~") else place)  # it may be gs://


def prepared_names(root: epath.Path) -> list[str]:
    """Names of the sets prepared under `root`, e.g. `cmaterdb/bangla`."""
    if not root.is_dir():
        return []
    infos = [*root.glob("*/*/dataset_info.json"), *root.glob("*/*/*/dataset_info.json")]
    return sorted({"/".join(path.parent.parent.relative_to(root).parts) for path in infos})


def _builder(uri: str, name: str, data_dir: str) -> Any:
    """The read-only builder of the newest prepared version."""
    root = sets_folder(data_dir)
    versions = [path.parent for path in root.glob(f"{name}/*/dataset_info.json")] if root.is_dir() else []
    versions = [path for path in versions if tfds.core.Version.is_valid(path.name)]
    if not versions:
        raise MissingSetError(uri, name, str(root), prepared_names(root))
    newest = max(versions, key=lambda path: tfds.core.Version(path.name))
    try:
        builder = tfds.builder_from_directory(newest)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{uri}: {newest} cannot be opened ({error}). Prepare the set anew.") from error
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
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    found = f"it has the images {images} and the class labels {labels}, expected one of each."
    several = [key for key, feature in info.features.items() if _holds_labels(feature)]
    if images and several and not labels:
        found += f" {several[0]!r} holds several labels an image (multi-label), and {ONE_CLASS}."
    real = [key for key, feature in info.features.items() if _is_real_number(feature)]
    if images and real and not labels:
        found += f" {real[0]!r} is a real number, as of a regression, and munet classifies."
    raise DataError(f"{uri}: no image classification set: {found}")


def _holds_labels(feature: Any) -> bool:
    """Whether a feature is a list of class labels, or of anything that holds some (objects in a scene)."""
    inner = getattr(feature, "feature", None)
    if isinstance(inner, tfds.features.FeaturesDict):
        return any(type(part) is tfds.features.ClassLabel for part in inner.values())
    return isinstance(inner, tfds.features.ClassLabel)


def _is_real_number(feature: Any) -> bool:
    return type(feature) in (tfds.features.Scalar, tfds.features.Tensor) and (
        feature.shape == () and np.issubdtype(feature.np_dtype, np.floating)
    )
