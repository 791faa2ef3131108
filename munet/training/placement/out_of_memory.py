"""A device that runs out of memory all the same, told as what a user can change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from munet.errors import DeviceMemoryError
from munet.text import byte_size
from munet.training.placement.chunks import Chunk
from munet.training.program.accumulation import part_size


@contextmanager
def explained(doing: str, chunk: Chunk) -> Iterator[None]:
    """Turns XLA's "resource exhausted" into a message about a chunk; other errors pass.

    Work is dispatched before it is done, so the error may come when results are waited for: put this around both.

    Args:
      doing: what is being done with the chunk, e.g. `training`.
      chunk: whose program it is.

    Raises:
      DeviceMemoryError: a device has no room left.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DeviceMemoryError(_message(doing, chunk, str(error))) from error


def _message(doing: str, chunk: Chunk, said: str) -> str:
    kind = chunk.mesh.devices.flat[0].device_kind
    shape = tuple(chunk.mesh.devices.shape)
    stacked = chunk.size // shape[0]
    line = said.strip().splitlines()[0]
    fewer = f"--config.children_per_dispatch={stacked // 2}, " if stacked > 1 else ""
    part = part_size(chunk.group.signature.batch_size, chunk.parts, chunk.spread.data)
    shorter = f"fewer images of a batch at a time (--config.microbatch={part // 2}), " if part > 1 else ""
    return (
        f"A {kind} ran out of memory while {doing} {len(chunk.members)} children in the program "
        f"{chunk.group.signature} on a mesh (child, data, model) of {shape}, {stacked} on each device, "
        f"{part} images of a batch at a time: estimated at "
        f"{byte_size(chunk.need.total)} a device, batches and images aside. XLA says: {line[:300]}\n"
        "Nothing that was committed is lost, and the same command goes on. Give it less at once: "
        f"{fewer}{shorter}plan with less memory "
        "(--config.device_memory_gb=...), or spread a child over more devices, where there are some "
        "(--config.mesh=CHILD,DATA,MODEL)."
    )
