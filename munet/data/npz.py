"""Data sets in one `.npz` file: `images` uint8 and `labels` integers, optionally `class_names`.

What the arrays must be like is in `arrays.py`. Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from munet.data import arrays, places
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Labelled, Source, SplitName
from munet.errors import DataError, nearest


def open_npz(source: TaskUri, settings: OpenSettings) -> Source:
    """Reads and checks a file.

    Args:
      source: whose path is the `.npz` file.
      settings: the seed of the 80/10/10 split, and the canvas that larger images are squashed to.

    Raises:
      DataError: missing, foreign or damaged, or arrays that make no classification task.
    """
    uri = source.text
    path = places.of_task(source, settings)
    read = _read(uri, path)
    images, labels = arrays.checked(uri, read["images"], read["labels"])
    class_names = arrays.names_of_classes(uri, read.get("class_names"), [labels])
    parts: dict[SplitName, Labelled] = {"train": (images, labels)}
    found = arrays.open_arrays(uri, parts, class_names, seed=settings.seed, canvas=settings.canvas)
    return replace(found, num_bytes=path.stat().st_size)


def _read(uri: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays that matter."""
    if not path.is_file():
        siblings = sorted(file.name for file in path.parent.glob("*.npz")) if path.parent.is_dir() else []
        near = f" {nearest(path.name, siblings)}" if siblings else ""
        raise DataError(f"{uri}: there is no file {path}.{near}")
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{uri}: {path} cannot be read as npz: it is no zip file. Expected numpy.savez(path, "
                    "images=uint8, labels=int)."
                )
        with np.load(path, allow_pickle=False) as archive:
            for name in ("images", "labels"):
                if name not in archive.files:
                    raise DataError(f"{uri}: {path} has no array {name!r}. {nearest(name, archive.files)}")
            return {name: archive[name] for name in ("images", "labels", "class_names") if name in archive.files}
    except DataError:
        raise
    except MemoryError as error:  # a few bytes can claim to be terabytes
        raise DataError(f"{uri}: the arrays of {path} do not fit the memory: {error}.") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(
            f"{uri}: {path} cannot be read as npz: {error} Expected numpy.savez(path, images=uint8, labels=int) "
            "without objects (nothing is unpickled)."
        ) from error
