"""Which numbers an image's black and white are, where its file does not say: `?range=0,4095` of a task's URI."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num, UInt8

from munet.errors import DataError


@dataclass(frozen=True)
class ValueRange:
    """The values that are black and white; others are clipped.

    Attributes:
      low: is 0 of 255.
      high: is 255 of 255.
    """

    low: float
    high: float

    @classmethod
    def parse(cls, uri: str, text: str) -> ValueRange:
        """What the option `range=LOW,HIGH` of a task says.

        Raises:
          DataError: it is no two numbers, the first below the second.
        """
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            low, high = math.nan, math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise DataError(
                f"{uri}: range={text}: expected the numbers of black and of white, the first below the second, e.g. "
                "range=0,4095 for images of 12 bits."
            )
        return cls(low, high)

    def to_bytes(self, values: Num[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Grey values as 0 to 255, rounded; what is no number is black."""
        share = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return np.rint(255 * np.clip(np.nan_to_num(share, nan=0.0), 0, 1)).astype(np.uint8)
