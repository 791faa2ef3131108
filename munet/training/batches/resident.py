"""Training images on the devices: which sets live there, and which are streamed (`runtime.resident_share` decides).

That changes where pixels wait, never which they are: `stream.py` makes the same batches either way.
"""

from __future__ import annotations

import math
from weakref import ref

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from munet.config import Runtime
from munet.data.open_settings import share_of
from munet.data.splits import Images
from munet.data.streamed import StreamedImages
from munet.training.placement import device_memory
from munet.training.placement.devices import DeviceLayout


def max_resident(runtime: Runtime, layout: DeviceLayout) -> float:
    """Bytes of decoded training images that a task may have and be resident; infinite if nobody knows the memory."""
    return share_of(device_memory.device_bytes(layout.devices[0]), runtime.resident_share)


def is_resident(images: Images, limit: float) -> bool:
    """Whether training images are to be on the device: they are decoded, and not too many."""
    return not isinstance(images, StreamedImages) and images.nbytes <= limit


class ResidentImages:
    """The training images of the task in training, on each device that makes batches; generations share them.

    Args:
      limit: bytes; more than these stay where they are.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self._source: ref[Images] | None = None
        self._held: dict[jax.Device | None, jax.Array | StreamedImages] = {}

    def of(self, images: Images, device: jax.Device | None = None) -> UInt8[Array, "n h w c"] | StreamedImages:
        """`images` on a device (None: the first), or as what streams to it. Others that are there make room first."""
        if self._source is None or self._source() is not images:
            self._held.clear()
            self._source = ref(images)
        if device not in self._held:
            self._held[device] = self._placed(images, device)
        return self._held[device]

    def _placed(self, images: Images, device: jax.Device | None) -> jax.Array | StreamedImages:
        if isinstance(images, np.ndarray):
            if not is_resident(images, self.limit):
                return StreamedImages.of_array(images)
            return jnp.asarray(images) if device is None else jax.device_put(images, device)
        return images
