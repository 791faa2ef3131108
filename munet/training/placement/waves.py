"""Which chunks are on the devices at the same time: as many streams side by side as the memory of each device holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax

from munet.training.placement.chunks import Chunk


@dataclass(frozen=True)
class Reserved:
    """Bytes of a device that images take beside children.

    Attributes:
      training: training images, which all streams of a task make their batches of.
      batches: segments of one stream, on each device that it trains on.
      validation: validation images of one size, which all streams of this size share.
    """

    training: int = 0
    batches: int = 0
    validation: int = 0

    @property
    def total(self) -> int:
        """What a stream takes where no other is."""
        return self.training + self.batches + self.validation


def in_waves(chunks: Sequence[Chunk], reserved: Sequence[Reserved], memory: int | None) -> list[Chunk]:
    """Numbers the waves, and returns the chunks in their order: each is in the first wave with room for it.

    A stream goes on where it stopped: none of its chunks trains before one that comes earlier in it.

    Args:
      chunks: stream by stream.
      reserved: what the images of each stream take.
      memory: bytes of a device; None: no limit is known, and all train at the same time.
    """
    if memory is None:
        return list(chunks)
    waves: list[list[Chunk]] = []
    begun = dict.fromkeys(range(len(reserved)), 0)
    for chunk in chunks:
        number = next(
            (at for at in range(begun[chunk.stream], len(waves)) if _fits([*waves[at], chunk], reserved, memory)),
            len(waves),  # alone it fits: placement has seen to that
        )
        waves += [[]] if number == len(waves) else []
        waves[number].append(replace(chunk, wave=number))
        begun[chunk.stream] = number
    return [chunk for wave in waves for chunk in wave]


def _fits(chunks: Sequence[Chunk], reserved: Sequence[Reserved], memory: int) -> bool:
    """Whether each device has room for its chunks of a wave.

    All of them keep their children there; one at a time works, where room is limited. Validation images of all sizes
    count everywhere: they are made on the first device.
    """
    validation = sum({chunk.group.signature.image_size: reserved[chunk.stream].validation for chunk in chunks}.values())
    held: dict[jax.Device, list[Chunk]] = {}
    for chunk in chunks:
        for device in chunk.mesh.devices.flat:
            held.setdefault(device, []).append(chunk)
    return all(validation + _bytes(own, reserved) <= memory for own in held.values())


def _bytes(chunks: Sequence[Chunk], reserved: Sequence[Reserved]) -> int:
    """Of a device with these chunks, validation images aside."""
    needs = [chunk.need for chunk in chunks]
    streams = [reserved[index] for index in {chunk.stream for chunk in chunks}]
    images = max(one.training for one in streams) + sum(one.batches for one in streams)
    return images + sum(need.kept for need in needs) + max(need.working for need in needs)
