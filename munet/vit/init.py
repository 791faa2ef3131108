"""Values of components: new ones, position embeddings for another image size, merged updates.

New adapters and low-rank updates change nothing and new heads are zero. Values come straight from a counter generator's
raw words, so they are the same on every device and with every JAX version; nothing here needs JAX. That is why Flax's
initialisers are not used: their draws are JAX's, which has changed them between versions
(`jax_threefry_partitionable`), and a component's name in the store is the hash of its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt32
from scipy.special import ndtr, ndtri

from munet import rng
from munet.types import ComponentName, Leaf
from munet.vit import architecture
from munet.vit.architecture import (
    HEAD,
    LORA_PROJECTIONS,
    POSITION,
    Variant,
    block_name,
    is_adapter,
    is_block,
    is_lora,
    layer_index,
)

POSITION_STDDEV = 0.02

FlatArrays = Mapping[str, np.ndarray]  # arrays of one component by path


def init_component(
    key_data: UInt32[np.ndarray, "2"], variant: Variant, name: ComponentName, leaves: Mapping[str, Leaf]
) -> dict[str, np.ndarray]:
    """New float32 parameters of component `name` by path.

    Heads are zero; adapters have a LeCun-normal first and a zero second layer, low-rank updates a LeCun-normal A and a
    zero B, so they change nothing at insertion; the others are as for training a root from scratch.

    Args:
      key_data: two random words (`rng.key_data`); every leaf draws from a stream of its own.
      variant: the ViT family member.
      name: the component.
      leaves: shapes by path, as `architecture.component_leaves` gives them.
    """
    key = int(key_data[0]) << 32 | int(key_data[1])
    return {
        path: _init_leaf(np.random.Philox(key=key, counter=index << 64), variant, name, path, leaves[path].shape)
        for index, path in enumerate(sorted(leaves))
    }


def init_root(variant: Variant, num_blocks: int, image_size: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """A root without a head that has learnt nothing, by component and path: for whatever does not depend on weights."""
    root = {}
    for name in architecture.path_names(num_blocks):
        if name != HEAD:
            leaves = architecture.component_leaves(variant, name, image_size=image_size, adapter_dim=0, num_classes=0)
            root[name] = init_component(rng.key_data(("root", seed, name)), variant, name, leaves)
    return root


def _init_leaf(
    stream: np.random.Philox, variant: Variant, name: ComponentName, path: str, shape: tuple[int, ...]
) -> Float[np.ndarray, "*shape"]:
    if path.endswith("scale"):
        return np.ones(shape, np.float32)
    if name == POSITION:
        return _truncated_normal(stream, shape, POSITION_STDDEV)
    if is_lora(name):
        if path.endswith("/B"):
            return np.zeros(shape, np.float32)
        return _truncated_normal(stream, shape, math.sqrt(1 / shape[0]))
    if not path.endswith("kernel") or name == HEAD or (is_adapter(name) and path.startswith("Dense_1")):
        return np.zeros(shape, np.float32)
    if is_block(name):
        # Xavier: fan-in plus fan-out are the kernel's two sides, however its axes are split.
        fan_in = variant.mlp_dim if path == "MlpBlock_3/Dense_1/kernel" else variant.width
        fan_out = math.prod(shape) // fan_in
        bound = math.sqrt(6 / (fan_in + fan_out))
        return (bound * (2 * _uniform(stream, shape) - 1)).astype(np.float32)
    fan_in = math.prod(shape[:-1])
    return _truncated_normal(stream, shape, math.sqrt(1 / fan_in))


def _uniform(stream: np.random.Philox, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """float64 in (0, 1)."""
    words = stream.random_raw(math.prod(shape))
    return (((words >> np.uint64(11)).astype(np.float64) + 0.5) / (1 << 53)).reshape(shape)


def _truncated_normal(stream: np.random.Philox, shape: tuple[int, ...], stddev: float) -> Float[np.ndarray, "*shape"]:
    """Normal values cut at two deviations and rescaled to the deviation asked for, as JAX's LeCun-normal does."""
    low, high = ndtr(-2.0), ndtr(2.0)
    values: np.ndarray = ndtri(low + (high - low) * _uniform(stream, shape))
    return (values * (stddev / 0.87962566103423978)).astype(np.float32)


def resize_position_embedding(
    array: Float[np.ndarray, "1 old_tokens width"], old_size: int, new_size: int, patch: int
) -> Float[np.ndarray, "1 new_tokens width"]:
    """The position embedding for images of `new_size` pixels instead of `old_size`, made for patches of `patch`.

    Bilinear with corners on corners, as `scipy.ndimage.zoom(order=1)` does it; the class token's vector is kept. At
    the same size it is `array` itself.
    """
    if old_size == new_size:
        return array
    old_grid, new_grid = old_size // patch, new_size // patch
    grid = array[0, 1:].reshape(old_grid, old_grid, -1).astype(np.float64)
    grid = _interpolate(_interpolate(grid, new_grid).swapaxes(0, 1), new_grid).swapaxes(0, 1)
    patches = grid.reshape(1, new_grid * new_grid, -1).astype(array.dtype)
    return np.concatenate([array[:, :1], patches], axis=1)


def _interpolate(values: Float[np.ndarray, "old *rest"], new: int) -> Float[np.ndarray, "new *rest"]:
    """Linear interpolation along the first axis. Elementwise, so that the bytes are the same on every machine."""
    old = len(values)
    places = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    below = np.minimum(places.astype(np.int64), max(old - 2, 0))
    above = np.minimum(below + 1, old - 1)
    weight = (places - below).reshape(-1, *[1] * (values.ndim - 1))
    result: np.ndarray = values[below] * (1 - weight) + values[above] * weight
    return result


def merge_lora(components: Mapping[ComponentName, FlatArrays]) -> dict[ComponentName, FlatArrays]:
    """The same function without low-rank updates: `W + A B` where block i has a `lora_i`; all else is as it was.

    For programs that know plain ViTs only (LoRA, section 4.1). Equal up to float32 rounding: the sum is rounded once
    more than the two products apart.
    """
    merged = {name: arrays for name, arrays in components.items() if not is_lora(name)}
    for name in components.keys() - merged.keys():
        block = block_name(layer_index(name) or 0)
        arrays = dict(merged[block])
        for projection in LORA_PROJECTIONS:
            path = f"MultiHeadDotProductAttention_1/{projection}/kernel"
            first, second = components[name][f"{projection}/A"], components[name][f"{projection}/B"]
            product = np.tensordot(first.astype(np.float64), second.astype(np.float64), axes=1)
            arrays[path] = (arrays[path] + product).astype(arrays[path].dtype)
        merged[block] = arrays
    return merged
