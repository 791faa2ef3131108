"""Layers of a ViT root as operations of chains, so that versions of its blocks are components of routed layers.

A chain of one block is a version of it; tokens of the input and the norm at the end are every task's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from munet import rng
from munet.types import ComponentId, ComponentName
from munet.vit import flops, forward
from munet.vit.architecture import (
    CHANNELS,
    CLS,
    EMBEDDING,
    NORM,
    POSITION,
    component_leaves,
    get_variant,
    is_block,
)
from munet.vit.init import FlatArrays

INPUT = (EMBEDDING, CLS, POSITION)


@dataclass(frozen=True)
class RootLayer:
    """A layer of a root, by its name there.

    Attributes:
      variant: of the root.
      name: `embedding`, `cls`, `posembed_input`, `encoderblock_0`, ..., `encoder_norm`.
      is_last: of a block: only the class token is wanted of it.
    """

    variant: str
    name: ComponentName
    is_last: bool = False

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What it makes of an input of a shape: images, patches, tokens; of tokens the norm gives the class token."""
        variant = get_variant(self.variant)
        if self.name == EMBEDDING:
            return (variant.num_tokens(shape[0]) - 1, variant.width)
        if self.name == CLS:
            return (shape[0] + 1, variant.width)
        if self.name == NORM:
            return (variant.width,)
        return (1, variant.width) if self.is_last else shape

    def leaves(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Its parameters for an input of a shape."""
        variant = get_variant(self.variant)
        side = math.isqrt(max(shape[0] - 1, 0)) * variant.patch_size  # asked for by the position embedding alone
        found = component_leaves(variant, self.name, image_size=side, adapter_dim=1, num_classes=1)
        return {path: leaf.shape for path, leaf in found.items()}

    def apply(self, params: Mapping[str, Array], inputs: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        """What it makes of a batch, exactly as munet's forward pass does."""
        nested = unflatten_dict(dict(params), sep="/")
        return forward.layer(get_variant(self.variant), self.name, nested, inputs, is_last=self.is_last)

    def flops(self, shape: tuple[int, ...]) -> int:
        """Of its matrix products, on one example (`munet/vit/flops.py`)."""
        variant = get_variant(self.variant)
        if self.name == EMBEDDING:
            return 2 * (variant.num_tokens(shape[0]) - 1) * CHANNELS * variant.patch_size**2 * variant.width
        if not is_block(self.name):
            return 0
        tokens = shape[0]
        return sum(flops.block(variant, tokens, 1 if self.is_last else tokens))


def parents(
    chains: Iterable[tuple[str, Sequence[object], object]], ids: Mapping[ComponentName, ComponentId]
) -> dict[ComponentName, ComponentId]:
    """Which layer of the root each version of a block began as, by name."""
    return {
        name: ids[chain[0].name] for name, chain, *_ in chains if len(chain) == 1 and isinstance(chain[0], RootLayer)
    }


def versions(
    path: rng.Path,
    chains: Iterable[tuple[str, Sequence[object], object]],
    root: Mapping[ComponentName, FlatArrays],
    noise: float,
) -> dict[str, dict[str, Float[np.ndarray, "..."]]]:
    """What chains of a root's layers begin with, by name, as a network has its parameters.

    Blocks are those of the root with noise on their kernels, or nothing would ever tell versions apart.

    Args:
      path: of the noise.
      chains: of a network: name, operations and what else there is.
      root: arrays by layer.
      noise: its standard deviation, in that of each kernel.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, chain, *_ in chains if root else ():
        for place, layer in enumerate(chain):
            if not isinstance(layer, RootLayer):
                continue
            for leaf, array in root[layer.name].items():
                values = np.array(array, np.float32)
                if noise and is_block(layer.name) and leaf.endswith("kernel"):
                    drawn = rng.normal_array((*path, name, leaf), values.shape)
                    values = (values + noise * values.std() * drawn).astype(np.float32)
                found.setdefault(name, {})[f"{place}/{leaf}"] = values
    return found
