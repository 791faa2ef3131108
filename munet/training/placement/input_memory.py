"""Bytes of a device that images take while a generation trains: batches, what they are made from, and validation."""

from __future__ import annotations

from munet.config import Config
from munet.training.batches.stream import segment_size
from munet.training.placement import child_memory


def batch_bytes(config: Config, batch_size: int, image_size: int, num_validated: int, source_bytes: int = 0) -> int:
    """Of two segments of batches, since one trains while the next is made, and of the validation images."""
    segment = segment_size(config, batch_size, image_size, source_bytes) * batch_size
    return child_memory.image_bytes(2 * segment + num_validated, image_size)


def training_bytes(num_resident: int, segment_images: int, source_bytes: int) -> int:
    """Of the training images that batches are made from.

    Args:
      num_resident: that are on the device for good; 0: a streamed set's, which waits there a segment ahead.
      segment_images: that a segment is made from, gathered.
      source_bytes: of each.
    """
    return ((num_resident or segment_images) + segment_images) * source_bytes
