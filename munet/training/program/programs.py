"""The compiled programs: train on a segment of batches, evaluate, keep the best version.

Each is written for one child and mapped over a leading child axis; on a mesh of several devices every device maps over
its own children and nothing is exchanged, unless a child is itself spread over devices (sharding.py). A program is made
once per signature and mesh.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from munet.training.assemble import Control, Nested
from munet.training.program import optimizer, sharding
from munet.training.program.accumulation import mean_gradients, part_size
from munet.training.program.signature import Signature
from munet.vit import architecture, forward
from munet.vit.forward import Gates


class ChildState(NamedTuple):
    """A child in training; every leaf has a leading child axis outside of the programs."""

    tuned: Nested
    momentum: Nested
    best: Nested  # `tuned` at the best cycle so far
    step: Int[Array, ""]
    is_finite: Bool[Array, ""]  # False for good once a loss or an output was not finite


class Evaluation(NamedTuple):
    """What a model says of a labelled set; the host counts (`evaluation.count`)."""

    predicted: Int[Array, "batches n"]  # the most probable class; -1 where an output is not finite
    is_finite: Bool[Array, ""]  # whether all outputs are


def init_state(tuned: Nested) -> ChildState:
    """A fresh state, on the host (nothing to compile), for children stacked along the leading axis."""
    count = jax.tree.leaves(tuned)[0].shape[0]
    return ChildState(
        tuned=tuned,
        momentum=optimizer.init_momentum(tuned),
        best=tuned,
        step=cast(Array, np.zeros(count, np.int32)),
        is_finite=cast(Array, np.ones(count, bool)),
    )


def compiler_options(mesh: Mesh) -> dict[str, int] | None:
    """What XLA is told when it compiles a program for a mesh; the user's own XLA_FLAGS win.

    On a CPU LLVM's level 2 compiles in three quarters of the time of XLA's default, 3, and its steps are as fast: the
    products are a library's, and what is compiled are the loops between them.
    """
    level = "xla_backend_optimization_level"
    is_ours = mesh.devices.flat[0].platform == "cpu" and level not in os.environ.get("XLA_FLAGS", "")
    return {level: 2} if is_ours else None


@cache
def train_program(
    signature: Signature, mesh: Mesh, rule: optimizer.UpdateRule, num_parts: int = 1
) -> Callable[..., ChildState]:
    """`(state, fixed, control, images, labels, num_steps) -> state`: the first `num_steps` batches of a segment.

    `images` is [segment, batch, size, size, 3] in [-1, 1], `labels` [segment, batch]; both are the same for all
    children. `state` is donated. Batches pass in `num_parts` parts, one after the other (accumulation.py).
    """
    variant = architecture.get_variant(signature.variant)
    part = part_size(signature.batch_size, num_parts, mesh.shape["data"])

    def train_child(
        state: ChildState, fixed: Nested, control: Control, images: Array, labels: Array, num_steps: Array
    ) -> ChildState:
        def losses(tuned: Nested, images: Array, labels: Array) -> Float[Array, " n"]:
            logits = forward.logits(
                variant,
                {**fixed, **tuned},
                images,
                num_blocks=signature.num_blocks,
                gates=control.gates,
                first_trainable=signature.first_trainable,
                dtype=signature.dtype,
            )
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels)

        def step(index: Array, state: ChildState) -> ChildState:
            value, grads = mean_gradients(losses, state.tuned, images[index], labels[index], part)
            # Masked before the clip: what does not train must not count in the norm. `where`, because 0 * nan is nan.
            grads = {
                name: jax.tree.map(lambda grad, mask=mask: jnp.where(mask > 0, grad, 0.0), grads[name])
                for name, mask in control.masks.items()
            }
            tuned, momentum = optimizer.update(state.tuned, state.momentum, grads, control.settings, state.step, rule)
            return state._replace(
                tuned=tuned,
                momentum=momentum,
                step=state.step + 1,
                is_finite=state.is_finite & jnp.isfinite(value),
            )

        return jax.lax.fori_loop(0, num_steps, step, state)

    mapped = map_children(train_child, mesh, per_child=3, shared=3)
    return jax.jit(mapped, donate_argnums=0, compiler_options=compiler_options(mesh))


@cache
def evaluate_program(signature: Signature, mesh: Mesh) -> Callable[..., Evaluation]:
    """`(params, gates, images, num_batches) -> Evaluation` over padded batches.

    `images` is [batches, n, size, size, 3]; only the first `num_batches` are looked at. Pass
    `signature.for_evaluation`: the program depends neither on what trains nor on the training batch.
    """
    variant = architecture.get_variant(signature.variant)

    def evaluate_child(params: Nested, gates: Gates, images: Array, num_batches: Array) -> Evaluation:
        def batch(index: Array, total: Evaluation) -> Evaluation:
            logits = forward.logits(
                variant,
                params,
                images[index],
                num_blocks=signature.num_blocks,
                gates=gates,
                dtype=signature.dtype,
            )
            is_finite = jnp.isfinite(logits).all(axis=-1)
            predicted = jnp.where(is_finite, logits.argmax(axis=-1).astype(jnp.int32), -1)
            return Evaluation(total.predicted.at[index].set(predicted), total.is_finite & is_finite.all())

        start = Evaluation(jnp.full(images.shape[:2], -1, jnp.int32), jnp.bool_(True))
        return jax.lax.fori_loop(0, num_batches, batch, start)

    mapped = map_children(evaluate_child, mesh, per_child=2, shared=2)
    return jax.jit(mapped, compiler_options=compiler_options(mesh))


@cache
def features_program(signature: Signature, mesh: Mesh) -> Callable[..., Float[Array, "child batches n width"]]:
    """`(params, gates, images, num_batches) -> class tokens` after the final norm, over padded batches.

    As `evaluate_program`, without a head.
    """
    variant = architecture.get_variant(signature.variant)

    def features_of_child(params: Nested, gates: Gates, images: Array, num_batches: Array) -> Array:
        def batch(index: Array, tokens: Array) -> Array:
            found = forward.features(variant, params, images[index], num_blocks=signature.num_blocks, gates=gates)
            return tokens.at[index].set(found)

        empty = jnp.zeros((*images.shape[:2], variant.width), jnp.float32)
        return jax.lax.fori_loop(0, num_batches, batch, empty)

    mapped = map_children(features_of_child, mesh, per_child=2, shared=2)
    return jax.jit(mapped, compiler_options=compiler_options(mesh))


@partial(jax.jit, donate_argnums=0)
def keep_best(state: ChildState, is_best: Bool[Array, " child"], is_finite: Bool[Array, " child"]) -> ChildState:
    """Keeps the present version of each child that is its best so far.

    Args:
      state: of children stacked along the leading axis; donated.
      is_best: whether it is; the host decides, by the one rule that the controller judges by.
      is_finite: whether loss and outputs were finite up to now.
    """

    def select(new: Array, old: Array) -> Array:
        return jnp.where(is_best.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return state._replace(best=jax.tree.map(select, state.tuned, state.best), is_finite=is_finite)


def map_children(function: Callable[..., Any], mesh: Mesh, *, per_child: int, shared: int) -> Callable[..., Any]:
    """Maps `function` over the leading axis of its first `per_child` arguments; `shared` more are the same for all."""
    over = jax.vmap(function, in_axes=(0,) * per_child + (None,) * shared)

    @wraps(function)  # whose name compile events and profiles then show
    def local(*arguments: Any) -> Any:
        if jax.tree.leaves(arguments[0])[0].shape[0] > 1:
            return over(*arguments)
        # A batch axis of length one costs XLA's CPU backend its fast matrix products.
        single = [jax.tree.map(lambda leaf: leaf[0], tree) for tree in arguments[:per_child]]
        result = function(*single, *arguments[per_child:])
        return jax.tree.map(lambda leaf: leaf[None], result)

    if mesh.size == 1:
        return local
    if sharding.is_inner(mesh):
        return sharding.partitioned(local, mesh, per_child=per_child)
    specs = (PartitionSpec("child"),) * per_child + (PartitionSpec(),) * shared
    # Loop carries start unvarying (zeros) and become varying, which the replication check refuses;
    # nothing is exchanged between devices.
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec("child"), check_vma=False)
