"""Whether the images of a task use the range from black to white: where they do not, a model hardly sees them."""

from __future__ import annotations

import math

import numpy as np

from munet.data.tasks import Task
from munet.data.uris import SCHEMES, parse_uri

_SAMPLE = 512  # training images looked at; their order is that of content hashes, or the set's own
_SMALL = 64  # of 256: below it a set is said to be dark


def notes_on_range(task: Task) -> list[str]:
    """A sentence on a task whose images are all dark, with what to do; it is decoded.

    Raises:
      DataError: the images cannot be decoded.
    """
    images = task.split("train").images
    sample = np.linspace(0, len(images) - 1, min(_SAMPLE, len(images))).astype(int)
    brightest = int(images[sample].max())
    if brightest >= _SMALL:
        return []
    parsed = parse_uri(task.uri)
    if "range" in SCHEMES[parsed.scheme].path_options or parsed.scheme == "hf":
        joint = "&" if parsed.options else "?"
        # The fewest bits whose largest value may have become this one of 8 bits out of 16.
        bits = max(math.ceil(math.log2(max(257 * brightest - 128, 2))), 1)
        advice = (
            f"If their files store fewer bits than they have room for, say which values are black and white: "
            f"{task.uri}{joint}range=0,{(1 << bits) - 1} for {bits} of 16 bits, "
            f"range=0,{max(brightest, 1)} for files of 8."
        )
    else:
        advice = (
            f"If {brightest} is white, scale them: (images * (255 / {max(brightest, 1)})).round().astype(np.uint8)."
        )
    share = (brightest + 1) / 256
    return [
        f"{task.info.name}: no pixel of {len(sample):,} training images is above {brightest} of 255, so they use "
        f"{share:.0%} of the range from black to white, and a model hardly sees them. {advice}"
    ]
