"""What a gradient takes at its peak, by hand for small programs, and against the compiler for a larger one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.joint.traced_memory import gradient_bytes, inner_programs, tree_bytes

ROWS, WIDTH, LAYERS = 100, 16, 6
ONE = 4 * ROWS * WIDTH  # bytes of an activation
INPUTS = jax.ShapeDtypeStruct((ROWS, WIDTH), np.float32)
WEIGHTS = jax.ShapeDtypeStruct((LAYERS, WIDTH, WIDTH), np.float32)


def through(layer: Any, weights: Any, inputs: Any) -> Any:
    for number in range(LAYERS):
        inputs = layer(inputs, weights[number])
    return inputs.sum()


def plain(values: Any, weight: Any) -> Any:
    return jnp.sin(values @ weight)  # keeps what it is given, and the cosine


def test_arguments_and_the_gradient_are_left_out() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        return (weights * inputs).sum()

    assert gradient_bytes(loss, INPUTS, INPUTS) == ONE  # the product


def test_what_layers_keep_adds_up() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        return through(plain, weights, inputs)

    kept = 2 * LAYERS * ONE
    assert kept <= gradient_bytes(loss, WEIGHTS, INPUTS) < kept + 2.5 * ONE


def test_what_is_computed_again_is_not_kept() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        return through(jax.checkpoint(plain), weights, inputs)

    kept, once = (LAYERS - 1) * ONE, 4 * ONE  # inputs of all layers but the first; what one computes again and moves
    assert kept + once <= gradient_bytes(loss, WEIGHTS, INPUTS) < kept + once + 0.5 * ONE


def test_loops_keep_what_every_turn_does() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        return jax.lax.scan(lambda values, weight: (plain(values, weight), None), inputs, weights)[0].sum()

    kept, once = 2 * LAYERS * ONE, 4 * ONE  # what goes around is there twice, beside what a turn makes
    assert kept + once <= gradient_bytes(loss, WEIGHTS, INPUTS) < kept + once + 0.5 * ONE


def test_terms_of_a_sum_are_there_together() -> None:
    """A gradient that comes from many places is one sum of them, for the compiler, and not a sum of two at a time."""

    def loss(weights: Any, inputs: Any) -> Any:
        values = jnp.sin(inputs * weights)
        return sum((values[:, number:] * number).sum() for number in range(1, 5))

    found = gradient_bytes(loss, INPUTS, INPUTS)
    assert found == 6 * ONE  # four padded terms, what they are of, and the cosine


def test_views_take_nothing() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        made = jnp.sin(inputs)
        return sum((weights[number] * made.reshape(number, -1)).sum() for number in (1, 2, 4, 5))

    found = gradient_bytes(loss, jax.ShapeDtypeStruct((6,), np.float32), INPUTS)
    assert found < 3.5 * ONE  # what is made, of which every weight's gradient needs a view, and two products


def test_branches_and_calls_are_inside_of_programs() -> None:
    traced = jax.make_jaxpr(lambda x: jax.lax.cond(x > 0, jax.jit(lambda y: y * 3 + 1), lambda y: y, x))(1.0)
    (branches,) = [list(inner_programs(one)) for one in traced.jaxpr.eqns if one.primitive.name == "cond"]
    assert len(branches) == 2


def test_the_compiler_says_nearly_the_same() -> None:
    def loss(weights: Any, inputs: Any) -> Any:
        return through(plain, weights, inputs)

    told = jax.jit(jax.value_and_grad(loss)).lower(WEIGHTS, INPUTS).compile().memory_analysis()
    assert told is not None
    assert gradient_bytes(loss, WEIGHTS, INPUTS) == pytest.approx(told.temp_size_in_bytes, rel=0.1)
    assert tree_bytes((WEIGHTS, INPUTS)) == told.argument_size_in_bytes
