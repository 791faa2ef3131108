"""Data sets that need no file and no network: `builtin:digits`, `builtin:glyphs/<script>`, and of other objectives.

`builtin:text/python` is a text, `builtin:dna` has a number for each of its synthetic windows; only methods that learn
such tasks take them (`munet train --config=muir:...`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from munet.data import text
from munet.data.builtin import dna
from munet.data.builtin.scripts import SCRIPTS
from munet.data.cache import NamedArrays, cached_arrays, content_key
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source, source_of_arrays
from munet.errors import DataError, nearest

_DIGITS = "digits"
_DIGITS_FILE = Path(__file__).parents[2] / "assets" / "digits.npz"
_GLYPHS = "glyphs/"


def open_builtin(uri: TaskUri, settings: OpenSettings) -> Source:
    """Opens a built-in set.

    Args:
      uri: whose path is `digits`, `glyphs/<script>`, `text/python` or `dna`.
      settings: the cache, and the seed of the 80/10/10 split; the images are the same for every seed.

    Raises:
      DataError: there is no such set.
    """
    known = [_DIGITS, *(_GLYPHS + script for script in SCRIPTS), text.PYTHON, dna.DNA]
    name, cache_dir = uri.path, settings.cache_dir
    if name not in known:
        raise DataError(f"{uri.text}: there is no built-in set {name!r}. {nearest(name, known)}")
    if name in (text.PYTHON, dna.DNA):
        return text.open_python() if name == text.PYTHON else dna.open_dna()
    arrays = _digits() if name == _DIGITS else _glyphs(name.removeprefix(_GLYPHS), cache_dir)
    class_names = [str(label) for label in arrays["class_names"]]
    return source_of_arrays(uri.text, arrays["images"], arrays["labels"], class_names, seed=settings.seed)


def _digits() -> NamedArrays:
    """The UCI handwritten digits that ship with munet (assets/digits.md): 1,797 images of 8x8 pixels."""
    with np.load(_DIGITS_FILE) as file:
        images, labels = file["images"][..., None], file["labels"].astype(np.int64)
    return {"images": images, "labels": labels, "class_names": np.arange(10).astype(str)}


def _glyphs(script: str, cache_dir: str) -> NamedArrays:
    """A rendered script. Another version of the font renderer may draw other pixels, so it is part of the key."""
    import matplotlib
    from PIL import __version__ as pillow_version
    from PIL import features

    from munet.data.builtin import glyphs

    def build() -> NamedArrays:
        images, labels, characters = glyphs.render(script)
        return {"images": images, "labels": labels, "class_names": np.array(characters)}

    versions = (matplotlib.__version__, pillow_version, features.version("freetype2"))
    return cached_arrays(cache_dir, content_key("glyphs", glyphs.FORMAT, script, versions), build)
