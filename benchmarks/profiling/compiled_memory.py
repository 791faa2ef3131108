"""What XLA sets aside for a train program on each device: for tests and benchmarks, which hold `memory` against it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet.training.measure import timing
from munet.training.placement.chunks import Chunk
from munet.training.placement.fitting import Spread
from munet.training.placement.grouping import Group
from munet.training.program import programs, sharding
from munet.training.program.optimizer import UpdateRule
from munet.training.program.signature import Signature
from munet.vit import architecture

_AS_FOR_USERS = {"xla_cpu_opt_preset": "CPU_OPT_PRESET_DEFAULT"}  # tests compile faster, and then other memory is taken


def of_children(signature: Signature, spread: Spread, count: int = 1) -> int:
    """Bytes of children, stacked, on each of their devices, but for the batch; compiles the program and runs nothing.

    Args:
      signature: of the program.
      spread: how each of them is spread.
      count: of children.
    """
    devices = np.array(jax.devices()[: spread.size]).reshape(1, spread.data, spread.model)
    mesh = Mesh(devices, sharding.AXES)
    blank = timing.blank_arrays(signature)
    children = jax.tree.map(partial(_abstract, count), blank, sharding.of_children(blank, mesh))
    batches = Chunk(Group(signature, (0,)), (0,), mesh, size=1).by_image(signature.batch_size)
    size = signature.image_size
    shape = (1, signature.batch_size, size, size, architecture.CHANNELS)
    images = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=batches)
    labels = jax.ShapeDtypeStruct(shape[:2], jnp.int32, sharding=batches)
    step = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh, PartitionSpec()))
    program: Any = programs.train_program(signature, mesh, UpdateRule(), spread.parts)
    analysis = program.lower(*children, images, labels, step).compile(_AS_FOR_USERS).memory_analysis()
    held = analysis.argument_size_in_bytes - 4 * math.prod(batches.shard_shape(shape))
    return int(held + analysis.temp_size_in_bytes)


def _abstract(count: int, leaf: np.ndarray, lies: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype, sharding=lies)
