"""Which images a model has right, image by image, in few letters: what a paired comparison needs (`intervals`).

The images of a split are sorted by class, within a class as the split has them, so that the counts by class say where
each class begins. Eight images are a byte, and the bytes are written in base64: 10,000 images take 1,668 letters.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from jaxtyping import Bool, Int

from munet.errors import CorruptionError


def pack(is_right: Bool[np.ndarray, " images"], labels: Int[np.ndarray, " images"]) -> str:
    """Which images are right, as text.

    Args:
      is_right, labels: of every image, in the order of the split.
    """
    by_class = np.argsort(labels, kind="stable")
    return base64.b64encode(np.packbits(is_right[by_class]).tobytes()).decode("ascii")


def unpack(text: str, count: int) -> Bool[np.ndarray, " images"]:
    """Which images are right, class by class, from the text that `pack` made.

    Args:
      text: as it was written.
      count: images.

    Raises:
      CorruptionError: it is not the text of so many images.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CorruptionError(f"Which images are right is not written in base64: {error}.") from error
    if len(data) != -(-count // 8):
        raise CorruptionError(f"Which images are right is written for {8 * len(data):,} images, not for {count:,}.")
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(bool)
