"""Optimisers of joint trainings, by the name in the config; each behind a clip of the gradients' global norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from munet.training.program import optimizer as evolution
from munet.training.program.optimizer import OptimizerSettings, UpdateRule


class _SgdState(NamedTuple):
    """Momentum in bfloat16, and the steps before."""

    momentum: Any
    step: Int[Array, ""]


def build(name: str, settings: OptimizerSettings, clip_norm: float, weight_decay: float = 0.0) -> Any:
    """An optax transformation.

    Args:
      name: "sgd" (exactly evolution's), "adamw" (decays matrices only), "adam" or "rmsprop".
      settings: rate, schedule and momentum; the schedule's formula is evolution's for all of them.
      clip_norm: of the gradients of the parameters that it is given, all together.
      weight_decay: AdamW's.
    """
    if name == "sgd":
        return _sgd(settings, clip_norm)

    def rate(step: Any) -> Array:
        return evolution.learning_rate(settings, step)

    made: dict[str, Callable[[], Any]] = {
        "adamw": lambda: optax.adamw(rate, weight_decay=weight_decay, mask=_matrices),
        "adam": lambda: optax.adam(rate),
        "rmsprop": lambda: optax.rmsprop(rate, momentum=float(settings.momentum)),
    }
    return optax.chain(optax.clip_by_global_norm(clip_norm), made[name]())


def by_group(transformations: dict[str, Any], label: Callable[[str], str]) -> Any:
    """One transformation a group of parameters; parameters labelled "frozen" do not move.

    Args:
      transformations: by label.
      label: of a parameter's top-level name.
    """
    return optax.partition(
        {"frozen": optax.set_to_zero(), **transformations},
        lambda params: {name: jax.tree.map(lambda _, name=name: label(name), tree) for name, tree in params.items()},
    )


def _matrices(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def _sgd(settings: OptimizerSettings, clip_norm: float) -> Any:
    """Evolution's SGD, to the bit: its formula and default rule, as an optax transformation."""
    rule = UpdateRule(clip_norm)

    def init(params: Any) -> _SgdState:
        return _SgdState(evolution.init_momentum(params), jnp.int32(0))

    def update(gradients: Any, state: _SgdState, params: Any = None) -> tuple[Any, _SgdState]:  # noqa: ARG001
        # From zero, where it moves to is how far it moves.
        zeros = jax.tree.map(jnp.zeros_like, gradients)
        moves, momentum = evolution.update(zeros, state.momentum, gradients, settings, state.step, rule)
        return moves, _SgdState(momentum, state.step + 1)

    return optax.GradientTransformation(init, update)
