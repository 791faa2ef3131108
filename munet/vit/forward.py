"""A list of components to a forward pass, with gates that let children share one program.

Parameters are `{component name: nested dict of arrays}`, i.e. a public checkpoint's tree with components at the top.
Everything can be vmapped over a leading child axis of parameters and gates, and differentiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from munet.types import ComponentName
from munet.vit import layers
from munet.vit.architecture import (
    CLS,
    EMBEDDING,
    HEAD,
    NORM,
    POSITION,
    Variant,
    adapter_name,
    block_name,
    is_adapter,
    lora_name,
)
from munet.vit.products import exact_products

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
    x = images.astype(dtype)
    for name in (EMBEDDING, CLS, POSITION):
        x = layer(variant, name, params[name], x)
    for index in range(num_blocks):
        if first_trainable == index:
            x = jax.lax.stop_gradient(x)
        if (adapter := adapter_name(index)) in params:
            gate = _at(gates.adapters, index)
            x = layer(variant, adapter, params[adapter], x, gate=gate, units=gates.adapter_units)
        block, update = block_name(index), params.get(lora_name(index))
        is_last, gate = index == num_blocks - 1, _at(gates.blocks, index)
        x = layer(variant, block, params[block], x, update=update, is_last=is_last, gate=gate)
    if first_trainable is not None and first_trainable >= num_blocks:
        x = jax.lax.stop_gradient(x)
    return layer(variant, NORM, params[NORM], x)


def layer(
    variant: Variant,
    name: ComponentName,
    params: Any,
    x: Float[Array, "batch *inputs"],
    *,
    update: Any = None,
    is_last: bool = False,
    gate: Float[Array, ""] | None = None,
    units: Float[Array, " adapter_dim"] | None = None,
) -> Float[Array, "batch *outputs"]:
    """One component applied to what the one before it gives: the step that every forward pass is made of.

    Args:
      variant: static.
      name: of the component; static. Any but a low-rank update, which belongs to its block.
      params: its own.
      x: images for the embedding, patches for the class token, else tokens; for the head the class token alone.
      update: of a block: the parameters of its low-rank update, if it has one.
      is_last: of a block: whether none comes after it. Only the class token is read then, whichever blocks are gated
        off: an exact saving, a fifth of a training step of Ti/16 with 3 blocks.
      gate: of a block or an adapter; see `Gates`.
      units: of an adapter; see `Gates.adapter_units`.
    """
    width = variant.width
    if name == EMBEDDING:
        patches = layers.split_into_patches(x, variant.patch_size)
        return _apply(layers.Dense(patches.shape[2:], (width,)), params, patches)
    if name == CLS:
        return _apply(layers.ClassToken(), params, x)
    if name == POSITION:
        return _apply(layers.PositionEmbedding(), params, x)
    if name == NORM:
        return jnp.asarray(_apply(layers.LayerNorm(), params, x[:, 0]), jnp.float32)
    if name == HEAD:
        return _apply(layers.Dense((width,), params["bias"].shape), params, x)
    if is_adapter(name):
        return _apply(layers.ResidualAdapter(params["Dense_0"]["kernel"].shape[-1]), params, x, gate, units)
    bound = None
    if update is not None:
        rank = update["query"]["A"].shape[-1]
        bound = partial(_apply, layers.LowRankUpdate(variant.num_heads, rank), update)
    return _apply(layers.EncoderBlock(variant), params, x, 1 if is_last else x.shape[1], gate, bound)


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
    values: Array = layer(variant, HEAD, params[HEAD], x)
    if gates is None or gates.classes is None:
        return values
    return jnp.where(gates.classes > 0, values, MASKED_LOGIT)


def _apply(module: nn.Module, params: Any, *inputs: Any) -> Any:
    with exact_products(inputs[0].dtype):
        return module.apply({"params": params}, *inputs)


def _at(gate: Float[Array, " num_blocks"] | None, index: int) -> Float[Array, ""] | None:
    return None if gate is None else gate[index]
