"""Which training sets live on the device, and which are streamed to it: `runtime.resident_share` of its memory decides.

That changes where pixels wait, never which they are: `stream.py` makes the same batches either way.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from munet.config import Runtime
from munet.data.open_settings import share_of
from munet.data.splits import Images
from munet.data.streamed import StreamedImages
from munet.training.placement import child_memory
from munet.training.placement.devices import DeviceLayout


def max_resident(runtime: Runtime, layout: DeviceLayout) -> float:
    """Bytes of decoded training images that a task may have and be resident; infinite if nobody knows the memory."""
    return share_of(child_memory.device_bytes(layout.devices[0]), runtime.resident_share)


def is_resident(images: Images, limit: float) -> bool:
    """Whether training images are to be on the device: they are decoded, and not too many."""
    return not isinstance(images, StreamedImages) and images.nbytes <= limit


class ResidentImages:
    """The training images of the task in training, on the device; kept from generation to generation.

    Args:
      limit: bytes; more than these stay where they are.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self._held: tuple[Images, jax.Array | StreamedImages] | None = None

    def of(self, images: Images) -> UInt8[Array, "n h w c"] | StreamedImages:
        """`images` on the device, or as what streams to it. Others that are there make room first."""
        if self._held is None or self._held[0] is not images:
            self._held = None
            self._held = images, self._placed(images)
        return self._held[1]

    def _placed(self, images: Images) -> jax.Array | StreamedImages:
        if isinstance(images, np.ndarray):
            return jnp.asarray(images) if is_resident(images, self.limit) else StreamedImages.of_array(images)
        return images
