"""Which training sets live on the device, and which are streamed to it: `runtime.resident_share` of its memory decides.

That changes where pixels wait, never which they are: `stream.py` makes the same batches either way.
"""

from __future__ import annotations

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
