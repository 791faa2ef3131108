"""A list of components to a forward pass (spec section 2), with gates that let children share one program.

Parameters are `{component name: nested dict of arrays}`, i.e. a public checkpoint's tree with components at the top.
Everything can be vmapped over a leading child axis of parameters and gates, and differentiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from munet.types import ComponentName
from munet.vit import layers
from munet.vit.architecture import CLS, EMBEDDING, HEAD, NORM, POSITION, Variant, adapter_name, block_name, lora_name

Params = Mapping[ComponentName, Any]  # nested dicts of arrays below every component's name

MASKED_LOGIT = -1e30  # finite, so that 0 * it is 0; exp of it is exactly 0


class Gates(NamedTuple):
    """Which parts of a shared program a child has; 1 present, 0 absent. None: all present.

    A gate multiplies a residual branch, `x + g * f(x)`; absent components hold zeros, since 0 * inf is NaN. All are
    arrays (of one child, or under vmap), so that no value of theirs recompiles anything. Low-rank updates need none:
    zeros are as good as absent there (`layers.LowRankUpdate`).

    Attributes:
      blocks: per block.
      adapters: per block: the adapter before it.
      adapter_units: per inner unit of the adapters, after GELU; 0 where a narrower adapter is padded.
      classes: per output of the head; 0 where the head is padded.
    """

    blocks: Float[Array, " num_blocks"] | None = None
    adapters: Float[Array, " num_blocks"] | None = None
    adapter_units: Float[Array, " adapter_dim"] | None = None
    classes: Float[Array, " head"] | None = None


def features(
    variant: Variant,
    params: Params,
    images: Float[Array, "batch size size 3"],
    *,
    num_blocks: int,
    gates: Gates | None = None,
    first_trainable: int | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "batch width"]:
    """The class token after the final norm.

    Args:
      variant: static.
      params: every component but the head; `residual_adapter_i` and `lora_i` where there are such (`... in params`).
      images: in [-1, 1]; the size is a multiple of the patch.
      num_blocks: of this program; static.
      gates: which of them, and which inserted layers, the child has.
      first_trainable: static: nothing below this level gets a gradient, and no work is done for one. Level i is
        adapter i, block i and its low-rank update, -1 everything from the embedding on, `num_blocks` the norm only.
        None: as -1.
      dtype: of activations and products; norms and parameters stay float32.
    """
    gates = Gates() if gates is None else gates
    width = variant.width
    x = layers.split_into_patches(images.astype(dtype), variant.patch_size)
    x = _apply(layers.Dense(x.shape[2:], (width,)), params[EMBEDDING], x)
    x = _apply(layers.ClassToken(), params[CLS], x)
    x = _apply(layers.PositionEmbedding(), params[POSITION], x)
    for index in range(num_blocks):
        if first_trainable == index:
            x = jax.lax.stop_gradient(x)
        if (adapter := adapter_name(index)) in params:
            dim = params[adapter]["Dense_0"]["kernel"].shape[-1]
            gate = _at(gates.adapters, index)
            x = _apply(layers.ResidualAdapter(dim), params[adapter], x, gate, gates.adapter_units)
        # Only the class token is read after the last block, whichever blocks are gated off: an exact saving, a fifth of
        # a training step of Ti/16 with 3 blocks.
        num_queries = 1 if index == num_blocks - 1 else x.shape[1]
        gate = _at(gates.blocks, index)
        update = None
        if (lora := lora_name(index)) in params:
            rank = params[lora]["query"]["A"].shape[-1]
            update = partial(_apply, layers.LowRankUpdate(variant.num_heads, rank), params[lora])
        x = _apply(layers.EncoderBlock(variant), params[block_name(index)], x, num_queries, gate, update)
    if first_trainable is not None and first_trainable >= num_blocks:
        x = jax.lax.stop_gradient(x)
    return jnp.asarray(_apply(layers.LayerNorm(), params[NORM], x[:, 0]), jnp.float32)


def logits(
    variant: Variant,
    params: Params,
    images: Float[Array, "batch size size 3"],
    *,
    num_blocks: int,
    gates: Gates | None = None,
    first_trainable: int | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "batch head"]:
    """`features` through the head; padded classes (`gates.classes` 0) get a logit that no softmax or arg-max sees."""
    x = features(
        variant, params, images, num_blocks=num_blocks, gates=gates, first_trainable=first_trainable, dtype=dtype
    )
    values: Array = _apply(layers.Dense((variant.width,), params[HEAD]["bias"].shape), params[HEAD], x)
    if gates is None or gates.classes is None:
        return values
    return jnp.where(gates.classes > 0, values, MASKED_LOGIT)


def _apply(module: nn.Module, params: Any, *inputs: Any) -> Any:
    with _products(inputs[0].dtype):
        return module.apply({"params": params}, *inputs)


def _products(dtype: DTypeLike) -> AbstractContextManager[object]:
    """Float32 products are float32 ones, gradients' too, unless JAX_DEFAULT_MATMUL_PRECISION says otherwise.

    XLA's default is a single pass in bfloat16 on a TPU, and TF32 on a GPU. On a CPU this changes nothing.
    """
    is_exact = dtype == jnp.float32 and jax.config.jax_default_matmul_precision is None  # type: ignore[attr-defined]
    return jax.default_matmul_precision("highest") if is_exact else nullcontext()


def _at(gate: Float[Array, " num_blocks"] | None, index: int) -> Float[Array, ""] | None:
    return None if gate is None else gate[index]
