"""What XLA sets aside for a train program on each device: for tests and benchmarks, which hold `memory` against it."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet import architecture
from munet.training import programs, sharding, timing
from munet.training.fitting import Inner
from munet.training.signature import Signature


def of_child(signature: Signature, inner: Inner) -> int:
    """Bytes of one child on each of its devices, but for the batch; compiles the program and runs nothing."""
    devices = np.array(jax.devices()[: inner.size]).reshape(1, inner.data, inner.model)
    mesh = Mesh(devices, sharding.AXES)
    blank = timing.blank_arrays(signature)
    child = jax.tree.map(_abstract, blank, sharding.of_children(blank, mesh))
    batches = sharding.of_batches(mesh, signature.batch_size)
    size = signature.image_size
    shape = (1, signature.batch_size, size, size, architecture.CHANNELS)
    images = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=batches)
    labels = jax.ShapeDtypeStruct(shape[:2], jnp.int32, sharding=batches)
    step = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh, PartitionSpec()))
    program: Any = programs.train_program(signature, mesh, 1.0)
    analysis = program.lower(*child, images, labels, step).compile().memory_analysis()
    held = analysis.argument_size_in_bytes - 4 * math.prod(batches.shard_shape(shape))
    return int(held + analysis.temp_size_in_bytes)


def _abstract(leaf: np.ndarray, lies: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=lies)
