"""One Linen module per kind of component, with the parameter names of the public ViT checkpoints.

The modules are stateless descriptions: they declare parameter shapes and compute; initial values are in `init.py`.
Axis names: `batch` images, `tokens` (class token first, then patches row by row), `queries` (the tokens whose values
are wanted: all, or the class token alone), `width`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from munet.vit.architecture import CHANNELS, Variant

LAYER_NORM_EPSILON = 1e-6
_declare = nn.initializers.zeros_init()  # shapes only

Scalar = Float[Array, ""]


@jax.custom_vjp
def layer_norm(
    x: Float[Array, "*lead width"], scale: Float[Array, " width"], bias: Float[Array, " width"]
) -> Float[Array, "*lead width"]:
    """Normalises the last axis (population variance), then scales and shifts.

    Its backward rule is our own, so that the forward pass keeps the normalised value and the inverse deviation: left
    to itself XLA on CPU recomputes both from `x` around each matrix product that uses them. Measured here (gradient of
    Ti/16 with 3 blocks, batch 256, 2 busy cores, interleaved medians): 0.94 to 0.97 of the time with autodiff's rule.
    Optimisation barriers after it or after GELU, a GELU with its own rule, one product for query, key and value, and
    attention by broadcasting made no difference beyond the noise, or were slower.
    """
    normalised, _ = _normalise(x)
    return normalised * scale + bias


def _normalise(x: Float[Array, "*lead width"]) -> tuple[Float[Array, "*lead width"], Float[Array, "*lead 1"]]:
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    inverse_deviation = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    return centred * inverse_deviation, inverse_deviation


_Kept = tuple[Float[Array, "*lead width"], Float[Array, "*lead 1"], Float[Array, " width"]]


def _layer_norm_forward(
    x: Float[Array, "*lead width"], scale: Float[Array, " width"], bias: Float[Array, " width"]
) -> tuple[Float[Array, "*lead width"], _Kept]:
    normalised, inverse_deviation = _normalise(x)
    return normalised * scale + bias, (normalised, inverse_deviation, scale)


def _layer_norm_backward(
    kept: _Kept, gradient: Float[Array, "*lead width"]
) -> tuple[Float[Array, "*lead width"], Float[Array, " width"], Float[Array, " width"]]:
    normalised, inverse_deviation, scale = kept
    lead = tuple(range(gradient.ndim - 1))
    scaled = gradient * scale
    mean = jnp.mean(scaled, axis=-1, keepdims=True)
    correlation = jnp.mean(scaled * normalised, axis=-1, keepdims=True)
    return (
        inverse_deviation * (scaled - mean - normalised * correlation),
        jnp.sum(gradient * normalised, axis=lead),
        jnp.sum(gradient, axis=lead),
    )


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """GELU in its tanh form, as in the public checkpoints' own code."""
    return jax.nn.gelu(x, approximate=True)


class LayerNorm(nn.Module):
    """`encoder_norm`, and the norms inside blocks and adapters. Computes in float32 whatever the input's dtype."""

    @nn.compact
    def __call__(self, x: Float[Array, "*lead width"]) -> Float[Array, "*lead width"]:
        """Normalises the last axis."""
        width = x.shape[-1]
        scale = self.param("scale", _declare, (width,))
        bias = self.param("bias", _declare, (width,))
        return layer_norm(x.astype(jnp.float32), scale, bias).astype(x.dtype)


class Dense(nn.Module):
    """A matrix product with bias, over any number of axes: the kernel's shape is `(*inputs, *outputs)`."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "*lead_and_inputs"]) -> Float[Array, "*lead_and_outputs"]:
        """Replaces the last `len(inputs)` axes by `outputs`."""
        kernel = self.param("kernel", _declare, (*self.inputs, *self.outputs)).astype(x.dtype)
        bias = self.param("bias", _declare, self.outputs).astype(x.dtype)
        lead = x.shape[: x.ndim - len(self.inputs)]
        flat_in, flat_out = math.prod(self.inputs), math.prod(self.outputs)
        product = x.reshape(*lead, flat_in) @ kernel.reshape(flat_in, flat_out) + bias.reshape(flat_out)
        return product.reshape(*lead, *self.outputs)


def split_into_patches(images: Float[Array, "batch size size 3"], patch: int) -> Float[Array, "batch patches p p 3"]:
    """Non-overlapping square patches, row by row.

    With a `Dense` over the last three axes this is the published strided convolution (kernel `[p, p, 3, width]`),
    written as a matrix product, since XLA's CPU convolutions are slow inside loops.
    """
    batch, size = images.shape[:2]
    grid = size // patch
    split = images.reshape(batch, grid, patch, grid, patch, CHANNELS).swapaxes(2, 3)
    return split.reshape(batch, grid * grid, patch, patch, CHANNELS)


class ClassToken(nn.Module):
    """`cls`: one learned token before the patches."""

    @nn.compact
    def __call__(self, tokens: Float[Array, "batch patches width"]) -> Float[Array, "batch tokens width"]:
        """Puts the token first."""
        batch, _, width = tokens.shape
        token = self.param("cls", _declare, (1, 1, width)).astype(tokens.dtype)
        return jnp.concatenate([jnp.broadcast_to(token, (batch, 1, width)), tokens], axis=1)


class PositionEmbedding(nn.Module):
    """`posembed_input`: one learned vector a token, added."""

    @nn.compact
    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Adds every token its vector."""
        return tokens + self.param("pos_embedding", _declare, (1, *tokens.shape[1:])).astype(tokens.dtype)


class LowRank(nn.Module):
    """`x A B`: a matrix product through `rank` dimensions, without bias."""

    rank: int
    outputs: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "*lead width"]) -> Float[Array, "*lead_and_outputs"]:
        """Replaces the last axis by `outputs`."""
        first = self.param("A", _declare, (x.shape[-1], self.rank)).astype(x.dtype)
        second = self.param("B", _declare, (self.rank, *self.outputs)).astype(x.dtype)
        product = x @ first @ second.reshape(self.rank, math.prod(self.outputs))
        return product.reshape(*x.shape[:-1], *self.outputs)


class LowRankUpdate(nn.Module):
    """`lora_i`: adds `x A B` to the query and value projections of block i's attention (LoRA; Hu et al. 2021).

    The paper's factor alpha / r is 1 here (alpha = r). Updates of zeros, and zeros that pad a lower rank, add exactly 0
    and get gradients of exactly 0, since each factor's gradient is a multiple of the other: no gate, no mask.
    """

    num_heads: int
    rank: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch tokens width"], num_queries: int
    ) -> tuple[Float[Array, "batch queries heads d"], Float[Array, "batch tokens heads d"]]:
        """What is added to the queries of the first `num_queries` tokens, and to the values of all."""
        heads = (self.num_heads, x.shape[-1] // self.num_heads)
        return LowRank(self.rank, heads, name="query")(x[:, :num_queries]), LowRank(self.rank, heads, name="value")(x)


Update = Callable[..., tuple[Float[Array, "batch queries heads d"], Float[Array, "batch tokens heads d"]]]


class SelfAttention(nn.Module):
    """Multi-head attention of the first `num_queries` tokens to all of them."""

    num_heads: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch tokens width"], num_queries: int, update: Update | None = None
    ) -> Float[Array, "batch queries width"]:
        """Attends from the first `num_queries` tokens to all; what `update` gives is added to queries and values."""
        width = x.shape[-1]
        heads = (self.num_heads, width // self.num_heads)
        query = Dense((width,), heads, name="query")(x[:, :num_queries])
        key = Dense((width,), heads, name="key")(x)
        value = Dense((width,), heads, name="value")(x)
        if update is not None:
            to_query, to_value = update(x, num_queries)
            query, value = query + to_query, value + to_value
        scores = jnp.einsum("bqhd,bkhd->bhqk", query * heads[1] ** -0.5, key)
        weights = jax.nn.softmax(scores.astype(jnp.float32), axis=-1).astype(x.dtype)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
        return Dense(heads, (width,), name="out")(mixed)


class Mlp(nn.Module):
    """Two dense layers with GELU between them."""

    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch queries width"]) -> Float[Array, "batch queries width"]:
        """Transforms each token by itself."""
        width = x.shape[-1]
        hidden = Dense((width,), (self.hidden,), name="Dense_0")(x)
        return Dense((self.hidden,), (width,), name="Dense_1")(gelu(hidden))


class EncoderBlock(nn.Module):
    """`encoderblock_i`: pre-norm attention and MLP, each added to its input."""

    variant: Variant

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        num_queries: int,
        gate: Scalar | None = None,
        update: Update | None = None,
    ) -> Float[Array, "batch queries width"]:
        """Transforms the first `num_queries` tokens; a `gate` of 0 makes the block the identity on them.

        `update` is the block's low-rank update, a `LowRankUpdate` with its parameters bound.
        """
        variant = self.variant
        attention = SelfAttention(variant.num_heads, name="MultiHeadDotProductAttention_1")
        mlp = Mlp(variant.mlp_dim, name="MlpBlock_3")
        queries = x[:, :num_queries]
        queries = queries + _gated(attention(LayerNorm(name="LayerNorm_0")(x), num_queries, update), gate)
        return queries + _gated(mlp(LayerNorm(name="LayerNorm_2")(queries)), gate)


class ResidualAdapter(nn.Module):
    """`residual_adapter_i`: a bottleneck MLP added to its input directly before block i."""

    dim: int

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        gate: Scalar | None = None,
        units: Float[Array, " dim"] | None = None,
    ) -> Float[Array, "batch tokens width"]:
        """Adds the bottleneck's output; `gate` 0 makes it the identity, `units` 0 removes an inner unit (padding)."""
        width = x.shape[-1]
        hidden = gelu(Dense((width,), (self.dim,), name="Dense_0")(LayerNorm(name="LayerNorm_0")(x)))
        if units is not None:
            hidden = hidden * units.astype(x.dtype)
        return x + _gated(Dense((self.dim,), (width,), name="Dense_1")(hidden), gate)


def _gated(branch: Float[Array, "batch queries width"], gate: Scalar | None) -> Float[Array, "batch queries width"]:
    return branch if gate is None else branch * gate.astype(branch.dtype)
