"""Parameter trees and small jitted programs for the tests of this folder.

Trees are NumPy arrays, and the tests share few shapes: each operation on JAX arrays outside `jit`, and each new shape
inside, is a program to compile, which is all that these tests spend time on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from munet import rng
from munet.vit import forward
from munet.vit.architecture import Variant, component_leaves, path_names
from munet.vit.forward import Gates
from munet.vit.init import init_component

TINY = Variant("tiny/16", width=8, mlp_dim=16, num_heads=2, max_blocks=3, patch_size=16)
NUM_BLOCKS, ADAPTER_DIM, NUM_CLASSES = 2, 4, 5  # of the shared program
LORA_RANK = 3
LABELS = (0, 2, 1)

features = jax.jit(forward.features, static_argnames=("variant", "num_blocks", "first_trainable", "dtype"))


def initial_params(
    variant: Variant,
    num_blocks: int,
    *,
    image_size: int = 32,
    adapter_dim: int = ADAPTER_DIM,
    adapters: Iterable[int] = (),
    loras: Iterable[int] = (),
    lora_rank: int = LORA_RANK,
    num_classes: int = NUM_CLASSES,
) -> dict[str, Any]:
    """A model as `init_component` makes it."""
    params = {}
    for name in path_names(num_blocks, adapters, loras):
        leaves = component_leaves(
            variant,
            name,
            image_size=image_size,
            adapter_dim=adapter_dim,
            num_classes=num_classes,
            lora_rank=lora_rank,
        )
        flat = init_component(rng.key_data(("test", name)), variant, name, leaves)
        params[name] = unflatten_dict(flat, sep="/")
    return params


def random_params(variant: Variant, num_blocks: int, *, seed: int = 0, **settings: Any) -> dict[str, Any]:
    """A model with every leaf random, so that nothing is zero by construction."""
    generator = np.random.default_rng(seed)
    params = initial_params(variant, num_blocks, **settings)
    return jax.tree.map(lambda leaf: generator.normal(0, 0.3, leaf.shape).astype(np.float32), params)


def random_images(count: int = 3, size: int = 32, seed: int = 1) -> Any:
    """Noise in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


def make_gates(
    blocks: Sequence[float] = (1, 1),
    adapters: Sequence[float] = (1, 1),
    units: Sequence[float] = (1,) * ADAPTER_DIM,
    classes: Sequence[float] = (1,) * NUM_CLASSES,
) -> Gates:
    """Gates of the shared program, everything present unless said otherwise."""
    arrays: list[Any] = [np.asarray(gate, np.float32) for gate in (blocks, adapters, units, classes)]
    return Gates(*arrays)


def train(
    params: Any, num_blocks: int = NUM_BLOCKS, gates: Gates | None = None, first_trainable: int | None = None
) -> tuple[Any, Any, Any]:
    """Loss, logits and gradients of `TINY` on three noise images, as NumPy arrays."""
    (loss, logits), gradients = jax.device_get(_train(params, num_blocks, gates, first_trainable))
    return loss, logits, gradients


def loss_and_logits(params: Any, num_blocks: int, gates: Gates | None, first_trainable: int | None) -> Any:
    """Cross-entropy of `TINY` on three noise images."""
    logits = forward.logits(
        TINY, params, jnp.asarray(random_images()), num_blocks=num_blocks, gates=gates, first_trainable=first_trainable
    )
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(3), jnp.asarray(LABELS)]), logits


@partial(jax.jit, static_argnums=(1, 3))
def _train(params: Any, num_blocks: int, gates: Gates | None, first_trainable: int | None) -> Any:
    return jax.value_and_grad(loss_and_logits, has_aux=True)(params, num_blocks, gates, first_trainable)
