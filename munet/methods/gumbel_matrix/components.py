"""Components of routed layers: chains of small operations, with their parameters, shapes and costs.

An operation is a frozen value; a chain of them is applied one after the other, and () is the identity. Shapes are those
of one example, without the batch. Initialisers are the published implementation's: Glorot uniform, biases of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet import rng
from munet.methods.gumbel_matrix.convolution import convolved
from munet.methods.gumbel_matrix.root_layers import RootLayer

Shape = tuple[int, ...]
Params = Mapping[str, Array]  # of a chain, `<place>/<name>`
NORM_GROUPS, NORM_EPSILON = 4, 1e-6


class ShapeError(ValueError):
    """An operation cannot be applied to what it would be given."""


@dataclass(frozen=True)
class Dense:
    """A matrix product and a bias; inputs of several axes are made flat first."""

    width: int
    relu: bool = True


@dataclass(frozen=True)
class Conv:
    """A convolution with bias, of `size` (height, width) pixels; then a group norm and a ReLU, where asked for."""

    filters: int
    size: tuple[int, int]
    stride: int = 1
    padding: Literal["SAME", "VALID"] = "SAME"
    norm: bool = False
    relu: bool = True


@dataclass(frozen=True)
class Pool:
    """The largest or the mean value of each window of `size` by `size` pixels; padding counts in neither."""

    kind: Literal["max", "average"]
    size: int
    stride: int = 1
    padding: Literal["SAME", "VALID"] = "SAME"


@dataclass(frozen=True)
class Norm:
    """Group norm with scale and offset, and a ReLU."""


Operation = Dense | Conv | Pool | Norm | RootLayer
Chain = tuple[Operation, ...]


def shape_after(chain: Chain, shape: Shape) -> Shape:
    """What a chain makes of an input's shape.

    Raises:
      ShapeError: an operation cannot be applied.
    """
    for operation in chain:
        shape = _shape(operation, shape)
    return shape


def leaves(chain: Chain, shape: Shape) -> dict[str, Shape]:
    """The shapes of a chain's parameters by path, for an input shape."""
    found: dict[str, Shape] = {}
    for place, operation in enumerate(chain):
        match operation:
            case Dense():
                found |= {f"{place}/kernel": (math.prod(shape), operation.width), f"{place}/bias": (operation.width,)}
            case Conv():
                width = operation.filters
                found |= {f"{place}/kernel": (*operation.size, shape[-1], width), f"{place}/bias": (width,)}
                if operation.norm:
                    found |= {f"{place}/scale": (width,), f"{place}/offset": (width,)}
            case Norm():
                found |= {f"{place}/scale": shape[-1:], f"{place}/offset": shape[-1:]}
            case RootLayer():
                found |= {f"{place}/{path}": leaf for path, leaf in operation.leaves(shape).items()}
            case Pool():
                pass
        shape = _shape(operation, shape)
    return found


def initial(path: rng.Path, chain: Chain, shape: Shape) -> dict[str, np.ndarray]:
    """New parameters of a chain, drawn below `path`."""
    return {name: draw((*path, name), leaf) for name, leaf in leaves(chain, shape).items()}


def draw(path: rng.Path, shape: Shape) -> Float[np.ndarray, "..."]:
    """A new array for a parameter: kernels Glorot uniform, scales 1, biases and offsets 0."""
    name = str(path[-1]).rpartition("/")[2]
    if name != "kernel":
        return (np.ones if name == "scale" else np.zeros)(shape, np.float32)
    field = math.prod(shape[:-2])
    limit = math.sqrt(6 / (field * (shape[-2] + shape[-1])))
    seed = int.from_bytes(rng.digest(path)[16:32], "big")
    words = np.random.Philox(key=seed).random_raw(math.prod(shape))  # whose stream NumPy never changes
    return ((words / 2.0**63 - 1) * limit).astype(np.float32).reshape(shape)


def apply(chain: Chain, params: Params, inputs: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """What a chain makes of a batch."""
    for place, operation in enumerate(chain):
        own = {name.partition("/")[2]: leaf for name, leaf in params.items() if name.startswith(f"{place}/")}
        match operation:
            case Dense():
                inputs = inputs.reshape(len(inputs), -1) @ own["kernel"] + own["bias"]
                inputs = jax.nn.relu(inputs) if operation.relu else inputs
            case Conv():
                inputs = convolved(inputs, own["kernel"], operation.stride, operation.padding)
                inputs = inputs + own["bias"]
                inputs = _normalised(inputs, own) if operation.norm else inputs
                inputs = jax.nn.relu(inputs) if operation.relu else inputs
            case Pool():
                inputs = _pooled(operation, inputs)
            case Norm():
                inputs = jax.nn.relu(_normalised(inputs, own))
            case RootLayer():
                inputs = operation.apply(own, inputs)
    return inputs


def flops(chain: Chain, shape: Shape) -> int:
    """Of the products and additions of a chain's matrices, on one example; norms, ReLUs and pools are left out."""
    total = 0
    for operation in chain:
        after = _shape(operation, shape)
        if isinstance(operation, Dense):
            total += 2 * math.prod(shape) * operation.width
        elif isinstance(operation, Conv):
            total += 2 * math.prod(operation.size) * shape[-1] * math.prod(after)
        elif isinstance(operation, RootLayer):
            total += operation.flops(shape)
        shape = after
    return total


def _shape(operation: Operation, shape: Shape) -> Shape:
    if isinstance(operation, Dense):
        return (operation.width,)
    if isinstance(operation, RootLayer):
        return operation.shape(shape)
    if isinstance(operation, Norm):
        if shape[-1] % NORM_GROUPS:
            raise ShapeError(f"a group norm needs a multiple of {NORM_GROUPS} channels, not {shape[-1]}")
        return shape
    if len(shape) != 3:
        raise ShapeError(f"{type(operation).__name__} needs images (height, width, channels), not {shape}")
    size = operation.size if isinstance(operation, Conv) else (operation.size, operation.size)
    channels = operation.filters if isinstance(operation, Conv) else shape[-1]
    if isinstance(operation, Conv) and operation.norm and channels % NORM_GROUPS:
        raise ShapeError(f"a group norm needs a multiple of {NORM_GROUPS} channels, not {channels}")
    if operation.padding == "SAME":
        sides = [-(-side // operation.stride) for side in shape[:2]]
    else:
        sides = [(side - window) // operation.stride + 1 for side, window in zip(shape[:2], size, strict=True)]
    if min(sides) < 1:
        raise ShapeError(f"windows of {size[0]} x {size[1]} do not fit images of {shape[0]} x {shape[1]}")
    return (*sides, channels)


def _normalised(inputs: Array, own: Params) -> Array:
    """Group norm; of an output of zeros, whose variance is 0, it is the offset."""
    grouped = inputs.reshape(len(inputs), -1, NORM_GROUPS, inputs.shape[-1] // NORM_GROUPS)
    mean = grouped.mean(axis=(1, 3), keepdims=True)
    variance = ((grouped - mean) ** 2).mean(axis=(1, 3), keepdims=True)
    found = (grouped - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)
    return found.reshape(inputs.shape) * own["scale"] + own["offset"]


def _pooled(pool: Pool, inputs: Array) -> Array:
    if pool.kind == "average" and pool.stride == pool.size and pool.padding == "VALID":
        return _tiled_mean(inputs, pool.size)
    window, strides = (1, pool.size, pool.size, 1), (1, pool.stride, pool.stride, 1)
    if pool.kind == "max":
        return jax.lax.reduce_window(inputs, -jnp.inf, jax.lax.max, window, strides, pool.padding)
    total = jax.lax.reduce_window(inputs, 0.0, jax.lax.add, window, strides, pool.padding)
    counted = jax.lax.reduce_window(jnp.ones_like(inputs[:1, ..., :1]), 0.0, jax.lax.add, window, strides, pool.padding)
    return total / counted


def _tiled_mean(inputs: Array, size: int) -> Array:
    """The mean of windows that do not overlap: of a reshaped array, whose gradient is much faster on a CPU."""
    height, width = (side // size for side in inputs.shape[1:3])
    cut = inputs[:, : height * size, : width * size]
    return cut.reshape(len(cut), height, size, width, size, -1).mean(axis=(2, 4))
