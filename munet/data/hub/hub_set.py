"""A set of the Hugging Face `datasets` library: found on disk, in the cache or on the hub, and its two columns chosen.

No code of a data set is ever run and nothing is unpickled: sets are read from the forms in `_READ`, or refused.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from munet.data import images as pixels
from munet.data import photos
from munet.data.hub.columns import image_column, label_column
from munet.data.value_range import ValueRange
from munet.errors import DataError, nearest
from munet.paths import expanded
from munet.threads import in_threads

# Builders of `datasets` that read plain data; others run decoders by file ending, restricted unpicklers among them.
_READ = ("arrow", "cache", "imagefolder", "json", "parquet")
_SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves
_CHUNK = 256  # rows read at a time
_STAMPED = 10_000  # rows looked at at a time, without reading their images


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one split of the set; `stop` is behind the last."""

    split: str
    start: int
    stop: int


@dataclass(frozen=True)
class HubSet:
    """An opened set.

    Attributes:
      uri: the task, for messages.
      splits: its own splits by name, reduced to the two columns, images still encoded.
      image, label: the names of the columns.
      value_range: what is black and white in grey images; None: as 8 or 16 bits have it.
    """

    uri: str
    splits: Mapping[str, Any]  # datasets.Dataset, which has no usable types
    image: str
    label: str
    value_range: ValueRange | None = None

    def rows(self, notation: str) -> tuple[Rows, ...]:
        """What a split in the notation of `datasets` means, e.g. `train[5%:]`, `train+test[:100]`.

        Raises:
          DataError: no such split, or no such notation; the splits are listed.
        """
        sizes = {name: len(split) for name, split in self.splits.items()}
        try:
            parts = _library(self.uri).ReadInstruction.from_spec(notation).to_absolute(sizes)
        except (ValueError, KeyError, AssertionError) as error:
            raise DataError(
                f"{self.uri}: split {notation!r} cannot be read: {_first_line(error)} {self.listed} Say e.g. "
                "?train=train[10%:]&validation=train[:10%]&test=test."
            ) from None
        return tuple(Rows(part.splitname, part.from_, part.to) for part in parts if part.from_ < part.to)

    @property
    def listed(self) -> str:
        """A sentence that names the splits and their sizes."""
        return f"The set has the splits {', '.join(f'{name} ({len(split):,})' for name, split in self.splits.items())}."

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the labels where the column brings them."""
        names = getattr(next(iter(self.splits.values())).features[self.label], "names", None)
        return None if names is None else tuple(map(str, names))

    def labels(self, rows: Sequence[Rows]) -> list[int | str | None]:
        """The labels of some rows, as the set has them."""
        found: list[int | str | None] = []
        for part in rows:
            table = self._table(part).select_columns([self.label]).with_format("arrow")[:]
            found += table.column(self.label).to_pylist()
        return found

    def content(self, rows: Sequence[Rows]) -> tuple[str, list[bytes]]:
        """SHA-256 (hexadecimal) of the encoded images in their order, the same wherever the set lies; and of each.

        Raises:
          DataError: an image is missing.
        """
        hasher, each = hashlib.sha256(), []
        for _, data in self._encoded(rows):
            hasher.update(len(data).to_bytes(8, "little"))
            hasher.update(data)
            each.append(hashlib.sha256(data).digest())
        return hasher.hexdigest(), each

    def state(self, rows: Sequence[Rows]) -> list[object]:
        """What changes on this machine whenever the rows' content does; quick to get."""
        found: list[object] = []
        for part in rows:
            split = self.splits[part.split]
            stamps = [_stamp(file["filename"]) for file in split.cache_files]
            found.append([part.split, part.start, part.stop, split._fingerprint, stamps])
        return [*found, *self.outside(rows)]

    def outside(self, rows: Sequence[Rows]) -> list[object]:
        """What changes whenever image files do that rows name instead of holding their bytes."""
        found: list[object] = []
        for part in rows:
            table = self._table(part).select_columns([self.image]).with_format("arrow")
            for start in range(0, len(table), _STAMPED):
                for chunk in table[start : start + _STAMPED].column(self.image).chunks:
                    paths = chunk.field("path").filter(chunk.field("bytes").is_null())
                    found += [_stamp(path) for path in paths.to_pylist() if path]
        return found

    def images(self, rows: Sequence[Rows], canvas: int) -> UInt8[np.ndarray, "n h w c"]:
        """Decodes some rows; images of varying size, or larger than the canvas, are squashed to a square of it.

        Raises:
          DataError: an image is missing, or cannot be decoded; it is named.
        """

        def decode(item: tuple[str, bytes]) -> pixels.Pixels:
            where, data = item
            try:
                # Squashed at once, so that large photos are never in memory together.
                return photos.decode_as(data, lambda size: canvas if max(size) > canvas else None, self.value_range)
            except photos.BadImageError as error:
                raise DataError(f"{self.uri}: image {where} cannot be decoded: {error}.") from error

        with photos.quietly():
            decoded = list(in_threads(decode, self._encoded(rows)))
        if len({image.shape[:2] for image in decoded}) > 1:
            decoded = [pixels.squash(image, canvas) for image in decoded]
        return pixels.stack(decoded)

    def _table(self, part: Rows) -> Any:
        return self.splits[part.split].select(range(part.start, part.stop))

    def _encoded(self, rows: Sequence[Rows]) -> Iterator[tuple[str, bytes]]:
        """Where each image is, for messages, and its encoded bytes.

        Raises:
          DataError: there is none.
        """
        for part in rows:
            table = self._table(part).select_columns([self.image])
            for start in range(0, len(table), _CHUNK):
                for offset, cell in enumerate(table[start : start + _CHUNK][self.image]):
                    where = f"{part.start + start + offset} of split {part.split}"
                    yield where, self._bytes(where, cell)

    def _bytes(self, where: str, cell: Mapping[str, Any] | None) -> bytes:
        if cell and cell.get("bytes") is not None:
            return bytes(cell["bytes"])
        if not cell or not cell.get("path"):
            raise DataError(f"{self.uri}: image {where} is empty; every row needs one.")
        try:
            return photos.read_bytes(Path(cell["path"]))
        except photos.BadImageError as error:
            raise DataError(
                f"{self.uri}: image {where} is the file {cell['path']}, which cannot be used: {error}. A set saved "
                "with its images inside can be moved: datasets' save_to_disk, or to_parquet."
            ) from error


def open_set(uri: str, name: str, options: Mapping[str, str], say: Callable[[str], None]) -> HubSet:
    """Opens a set; it is downloaded if it is neither on disk nor in the cache of `datasets`.

    Args:
      uri: the task, for messages.
      name: on the hub (`ylecun/mnist`), or the path of a folder: one made by `save_to_disk`, or of parquet files.
      options: `config` and `revision` of the set; `image` and `label`: its columns; `range` of grey images.
      say: told that something takes long.

    Raises:
      DataError: not installed, not there and not reachable, of a form that is not read, or no image classification set.
    """
    library = _library(uri)
    if not sys.stderr.isatty():
        library.disable_progress_bars()
    path = expanded(name)
    if path.is_dir():
        saved = any((path / file).is_file() for file in _SAVED)
        # Absolute: `parquet`, say, is the library's word for reading the current directory, not a folder of that name.
        place = str(path.absolute())
        loaded = _saved(uri, library, path, options) if saved else _built(uri, library, place, options, say)
    elif name.startswith(("/", "~", "./", "../")):
        folders = [str(other) for other in path.parent.glob("*/")] if path.parent.is_dir() else []
        raise DataError(f"{uri}: there is no folder {path}. {nearest(str(path), folders)}")
    elif name in getattr(library.packaged_modules, "_PACKAGED_DATASETS_MODULES", ()):
        raise DataError(
            f"{uri}: there is no folder {path.absolute()}, and {name!r} is the name of a form of files, not of a set: "
            "give a folder that holds them, e.g. hf:/FOLDER."
        )
    else:
        loaded = _built(uri, library, name, options, say)
    splits = {str(key): split for key, split in loaded.items()}
    features = next(iter(splits.values())).features
    image = image_column(uri, features, options.get("image"))
    label = label_column(uri, features, options.get("label"))
    for key, split in splits.items():
        if any(split.features.get(column) != features[column] for column in (image, label)):
            raise DataError(f"{uri}: the columns {image!r} and {label!r} of split {key!r} are not those of the others.")
    encoded = library.Image(decode=False)
    return HubSet(
        uri,
        {key: split.select_columns([image, label]).cast_column(image, encoded) for key, split in splits.items()},
        image,
        label,
        ValueRange.parse(uri, options["range"]) if "range" in options else None,
    )


def _saved(uri: str, library: Any, path: Path, options: Mapping[str, str]) -> Mapping[str, Any]:
    """The splits of a folder that `save_to_disk` made."""
    for option in ("config", "revision"):
        if option in options:
            raise DataError(f"{uri}: a set saved on disk has no {option}; leave it out.")
    try:
        loaded = library.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{uri}: {path} cannot be read: {_first_line(error)} Save it anew.") from error
    return loaded if isinstance(loaded, library.DatasetDict) else {str(loaded.split or "train"): loaded}


def _built(
    uri: str, library: Any, source: str, options: Mapping[str, str], say: Callable[[str], None]
) -> Mapping[str, Any]:
    """The splits of a set of the hub, of the cache, or of a folder of data files."""
    advice = ""
    try:
        try:
            builder = library.load_dataset_builder(source, options.get("config"), revision=options.get("revision"))
        except RuntimeError:  # here the library's word for a set that is code
            advice = " No code of a set is run; many have a parquet form at ?revision=refs/convert/parquet."
            raise
        except ValueError:  # ... and for a config that it lacks, or for several of which none is named
            advice = " Choose one: ?config=NAME."
            raise
        kind = type(builder).__module__.rpartition(".")[2]
        if kind not in _READ:
            raise DataError(
                f"{uri}: the set is kept in {kind} form, which is not read here; in parquet form it is: many sets of "
                "the hub have one at ?revision=refs/convert/parquet."
            )
        if not Path(source).is_dir() and kind != "cache":
            say(f"{uri}: getting the set from the hub, unless it is in the cache already")
        builder.download_and_prepare()
        loaded: Mapping[str, Any] = builder.as_dataset()
    except DataError:
        raise
    except ConnectionError as error:
        raise DataError(
            f"{uri}: the set {source!r} is not in the cache {library.config.HF_DATASETS_CACHE}, and the hub cannot be "
            f"reached: {_first_line(error)} Where there is a network, datasets.load_dataset({source!r})"
            ".save_to_disk('FOLDER') gets it; bring the folder here and say hf:/FOLDER."
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, library.exceptions.DatasetsError) as error:
        raise DataError(f"{uri}: {source!r} cannot be opened: {_lines(error)}{advice}") from error
    return loaded


def _library(uri: str) -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise DataError(
            f"{uri}: Hugging Face sets need the package `datasets`: pip install -e '.[hf]' in munet's folder"
        ) from error


def _stamp(file: str) -> list[object]:
    """What changes whenever a file does, as in `folder_index`."""
    try:
        status = os.stat(file)  # noqa: PTH116 - of very many files
    except (OSError, ValueError):  # reading it will say why
        return [file]
    return [file, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _lines(error: BaseException) -> str:
    """The message on one line, not longer than a few."""
    text = " ".join(str(error).split())[:400] or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
