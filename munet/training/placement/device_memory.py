"""Bytes that children and images take on a device, and that a device has: what placement and dry runs decide by.

Counted where it can be (parameters, optimiser, batches), estimated for activations; `tests/run/test_estimates.py` and
`tests/training/program/test_sharding.py` hold both against what XLA sets aside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from munet.config import Config
from munet.data.open_settings import host_memory
from munet.training.batches.stream import EVALUATION_BATCH, segment_size
from munet.training.program.accumulation import part_size
from munet.training.program.sharding import split_axis
from munet.training.program.signature import Signature
from munet.types import ComponentName
from munet.vit import architecture

_SHARE = 0.9  # of a device's memory that is planned with: estimates are rough, and memory gets cut up
_STEP = 100_000_000  # bytes to which that is rounded down, so that devices of a kind agree


@dataclass(frozen=True)
class Memory:
    """Bytes of one child in training, on each of its devices.

    Attributes:
      params: of all components.
      training: of those that train: best version and gradients (float32), momentum (bfloat16), copies in between.
      activations: what the backward pass keeps of a batch, and the work space of a block.
      kept: of `params` and `training`, what stays on the device between two dispatches.
    """

    params: int
    training: int
    activations: int
    kept: int

    @property
    def total(self) -> int:
        """Bytes of parameters, training and activations together."""
        return self.params + self.training + self.activations


@functools.cache  # asked for with every chunk
def child_memory(program: Signature, data: int = 1, model: int = 1, parts: int = 1) -> Memory:
    """Memory of one child in a train program: counted where it can be, estimated for activations.

    A block keeps about twelve values of the width and two of the MLP's for each token, and attention's scores twice;
    the last block is computed for the class token alone. Of those, queries, keys, values, what attention gives, the
    scores, the MLP and an adapter's bottleneck are split over `model`; the rest, like norms, is on each of its devices.

    Args:
      program: what the child runs in.
      data, model: lengths of the mesh axes that it is spread over.
      parts: in which its batches pass, one after the other; their gradients are summed up beside a part's own.
    """
    variant = architecture.get_variant(program.variant)
    params = {name: _params(program, name, model) for name in program.names}
    tuned = sum(count for name, count in params.items() if program.tunes(name))
    tokens, width = variant.num_tokens(program.image_size), variant.width
    heads = _share(variant.num_heads, model)
    hidden = 2 * _share(variant.mlp_dim, model)
    projected = width * heads / variant.num_heads  # of queries, keys, values, or what attention gives, on a device
    adapter = 3 * width + 2 * _share(program.adapter_dim, model) if program.adapter_dim else 0
    inserted = adapter + 2 * program.lora_rank  # of low-rank updates, what lies between their two products
    block = 8 * width + 4 * projected + hidden + 2 * heads * tokens + inserted
    last = 2 * width + 2 * projected + 2 * heads + inserted
    trained = program.num_blocks - max(program.first_trainable, 0)
    values = block * max(trained - 1, 0) + (last if trained else 0) + _work_space(program, model)
    if program.dtype == "bfloat16":  # half of all but what norms and softmax keep, which is float32
        values = values / 2 + (heads * tokens + width) * max(trained - 1, 0)
    summed = 4 * (parts > 1)
    return Memory(
        params=4 * sum(params.values()),
        # The last 2: XLA turns some weights around; between 0 and 4 measured.
        training=(4 + 4 + summed + 2 + 2) * tuned,
        activations=int(4 * _share(part_size(program.batch_size, parts, data), data) * tokens * values),
        kept=4 * sum(params.values()) + (4 + 2) * tuned,
    )


def evaluation_bytes(program: Signature, data: int = 1, model: int = 1) -> int:
    """What the evaluation of one child takes beside its parameters: the work space of a block for one batch."""
    tokens = architecture.get_variant(program.variant).num_tokens(program.image_size)
    return int(4 * _share(EVALUATION_BATCH, data) * tokens * _work_space(program, model))


def image_bytes(count: int, image_size: int) -> int:
    """Bytes of images as programs take them, on the device."""
    return count * image_size * image_size * architecture.CHANNELS * 4


def batch_bytes(config: Config, batch_size: int, image_size: int, num_validated: int, source_bytes: int = 0) -> int:
    """Of two segments of batches, since one trains while the next is made, and of the validation images."""
    segment = segment_size(config, batch_size, image_size, source_bytes) * batch_size
    return image_bytes(2 * segment + num_validated, image_size)


def training_bytes(num_resident: int, segment_images: int, source_bytes: int) -> int:
    """Of the training images that batches are made from.

    Args:
      num_resident: that are on the device for good; 0: a streamed set's, which waits there a segment ahead.
      segment_images: that a segment is made from, gathered.
      source_bytes: of each.
    """
    return ((num_resident or segment_images) + segment_images) * source_bytes


def budget(devices: Sequence[jax.Device], given_gb: float = 0.0) -> int | None:
    """Bytes of each device to plan with: what the user says, or a share of what there is; None: there is no limit.

    A CPU's memory is the machine's, which others use too, and what is too large for it is swapped: nothing is planned
    there, nor refused, unless the user says so.
    """
    if given_gb:
        return int(given_gb * 1e9)
    return None if devices[0].platform == "cpu" else usable(devices)


def usable(devices: Sequence[jax.Device]) -> int | None:
    """The share of a device's memory that munet counts on; None if nobody tells how much there is."""
    found = device_bytes(devices[0])
    if found is None:
        return None
    if devices[0].platform == "cpu":  # several simulated ones share the machine's
        found //= len(devices)
    return int(found * _SHARE) // _STEP * _STEP


# Of a JAX device of Google's kinds, by their beginnings, where the runtime tells nothing (a v2 or v3 chip is two).
_GIBIBYTES = {"TPU v2": 8, "TPU v3": 16, "TPU v4": 32, "TPU v5 lite": 16, "TPU v5e": 16, "TPU v5": 95, "TPU v6": 32}


def device_bytes(device: jax.Device) -> int | None:
    """Bytes that a device has for JAX; on a CPU the machine's; None if nobody tells."""
    if device.platform == "cpu":
        return host_memory()
    stats = device.memory_stats() or {}
    limit = stats.get("bytes_limit")
    if limit is None:  # children would be stacked without end
        return next((size << 30 for kind, size in _GIBIBYTES.items() if device.device_kind.startswith(kind)), None)
    return int(limit)


def _work_space(program: Signature, model: int) -> float:
    """Values for each token of a block that keeps nothing."""
    variant = architecture.get_variant(program.variant)
    heads = _share(variant.num_heads, model)
    projected = variant.width * heads / variant.num_heads
    return (
        2 * variant.width
        + 3 * projected
        + _share(variant.mlp_dim, model)
        + heads * variant.num_tokens(program.image_size)
    )


def _params(program: Signature, name: ComponentName, model: int) -> int:
    """Parameters of a component that lie on one device."""
    return sum(
        math.prod(leaf.shape) // (1 if split_axis(f"{name}/{path}", leaf.shape, model) is None else model)
        for path, leaf in program.leaves(name).items()
    )


def _share(length: int, devices: int) -> int:
    """What one of several devices has of an axis: an even share, or all of it if there is none."""
    return length // devices if length % devices == 0 else length
