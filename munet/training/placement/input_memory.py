"""Bytes of a device that images take while a generation trains: batches, what they are made from, and validation."""

from __future__ import annotations

from munet.config import Config
from munet.training.batches.stream import batches_within
from munet.training.placement import child_memory
from munet.vit import architecture


def segment_size(config: Config, batch_size: int, image_size: int, source_bytes: int = 0) -> int:
    """Steps in a segment of batches: what fits `runtime.block_megabytes`, at most a cycle's cap.

    Args:
      config: the run's.
      batch_size: images a step.
      image_size: of the batches, in pixels on a side.
      source_bytes: of an image that they are made from; 0: not known yet, as many as its pixels in a batch have.
    """
    return batches_within(
        config.runtime.block_megabytes * 1_000_000,
        batch_size,
        image_size,
        source_bytes or image_size * image_size * architecture.CHANNELS,
        at_most=config.experiment.max_batches_per_cycle,
    )


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
