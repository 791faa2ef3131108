"""Parameter trees for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from munet import rng
from munet.architecture import Variant, component_leaves, path_names
from munet.models import vit
from munet.models.init import init_component

_STATIC = ("variant", "num_blocks", "first_trainable", "dtype")
features = jax.jit(vit.features, static_argnames=_STATIC)
logits = jax.jit(vit.logits, static_argnames=_STATIC)

TINY = Variant("tiny/16", width=8, mlp_dim=16, num_heads=2, max_blocks=3, patch_size=16)


def initial_params(
    variant: Variant,
    num_blocks: int,
    *,
    image_size: int = 32,
    adapter_dim: int = 4,
    adapters: Iterable[int] = (),
    num_classes: int = 3,
) -> dict[str, Any]:
    """A model as `init_component` makes it."""
    params = {}
    for name in path_names(num_blocks, adapters):
        leaves = component_leaves(
            variant, name, image_size=image_size, adapter_dim=adapter_dim, num_classes=num_classes
        )
        flat = init_component(rng.key_data(("test", name)), variant, name, leaves)
        params[name] = vit.nest(flat)
    return params


def random_params(variant: Variant, num_blocks: int, *, seed: int = 0, **settings: Any) -> dict[str, Any]:
    """A model with every leaf random, so that nothing is zero by construction."""
    generator = np.random.default_rng(seed)
    params = initial_params(variant, num_blocks, **settings)
    return jax.tree.map(lambda leaf: jnp.asarray(generator.normal(0, 0.3, leaf.shape), jnp.float32), params)


def random_images(count: int = 3, size: int = 32, seed: int = 1) -> Any:
    """Noise in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)
