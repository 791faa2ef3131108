"""The layers against plain formulas, and the own backward rule of the layer norm against autodiff."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.vit import layers


def plain_layer_norm(x: Any, scale: Any, bias: Any) -> Any:
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.var(x, axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-6) * scale + bias


def arguments(shape: tuple[int, ...], spread: float) -> tuple[Any, Any, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(3, spread, shape).astype(np.float32)
    scale, bias = generator.normal(1, 0.5, (2, shape[-1])).astype(np.float32)
    return jnp.asarray(x), jnp.asarray(scale), jnp.asarray(bias)


@pytest.mark.parametrize("shape", [(7, 16), (3, 5, 8)])
def test_layer_norm_and_its_gradients_equal_the_plain_formula(shape: tuple[int, ...]) -> None:
    inputs = arguments(shape, spread=1.0)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)

    def through(norm: Any) -> Any:
        return lambda *args: jnp.sum(jnp.sin(norm(*args)) * weights)

    np.testing.assert_allclose(layers.layer_norm(*inputs), plain_layer_norm(*inputs), atol=1e-5)
    ours = jax.jit(jax.grad(through(layers.layer_norm), argnums=(0, 1, 2)))(*inputs)
    plain = jax.jit(jax.grad(through(plain_layer_norm), argnums=(0, 1, 2)))(*inputs)
    for mine, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-5)


def test_layer_norm_gradients_under_vmap_over_children() -> None:
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf + 1]), arguments((3, 5, 8), spread=1.0))
    gradient = jax.jit(jax.grad(lambda *args: jnp.sum(layers.layer_norm(*args) ** 2), argnums=(0, 1, 2)))
    together = jax.vmap(gradient)(*stacked)
    for child in range(2):
        alone = gradient(*(leaf[child] for leaf in stacked))
        for stack, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(stack[child], single, rtol=1e-5, atol=1e-5)


def test_layer_norm_of_constant_input_is_finite() -> None:
    x, scale, bias = jnp.zeros((2, 8)), jnp.zeros(8), jnp.zeros(8)
    gradients = jax.grad(lambda *args: jnp.sum(layers.layer_norm(*args)), argnums=(0, 1, 2))(x, scale, bias)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in gradients)


def test_a_residual_adapter_is_the_papers_formula() -> None:
    width, dim, generator = 8, 5, np.random.default_rng(4)
    shapes = {"down": (width, dim), "below": (dim,), "up": (dim, width), "above": (width,)}
    drawn = {name: jnp.asarray(generator.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    x, scale, bias = arguments((2, 3, width), spread=1.0)
    params = {
        "LayerNorm_0": {"scale": scale, "bias": bias},
        "Dense_0": {"kernel": drawn["down"], "bias": drawn["below"]},
        "Dense_1": {"kernel": drawn["up"], "bias": drawn["above"]},
    }
    inner = plain_layer_norm(x, scale, bias) @ drawn["down"] + drawn["below"]
    cubic = np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)
    expected = x + (0.5 * inner * (1 + jnp.tanh(cubic))) @ drawn["up"] + drawn["above"]
    found: Any = layers.ResidualAdapter(dim).apply({"params": params}, x)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert float(jnp.abs(found - x).max()) > 1  # it does something


def test_patches_times_kernel_are_the_published_strided_convolution() -> None:
    generator = np.random.default_rng(0)
    images = jnp.asarray(generator.normal(size=(2, 48, 48, 3)), jnp.float32)
    kernel = jnp.asarray(generator.normal(size=(16, 16, 3, 8)), jnp.float32)
    bias = generator.normal(size=8).astype(np.float32)
    module = layers.Dense((16, 16, 3), (8,))
    tokens: Any = module.apply({"params": {"kernel": kernel, "bias": bias}}, layers.split_into_patches(images, 16))
    convolved = jax.lax.conv_general_dilated(
        images, kernel, (16, 16), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(tokens, convolved.reshape(2, 9, 8) + bias, atol=1e-3)


def test_attention_equals_a_loop_over_images_heads_and_queries() -> None:
    generator = np.random.default_rng(0)
    heads, dim = 2, 4
    width = heads * dim
    x = generator.normal(size=(2, 5, width)).astype(np.float32)

    def draw(*shape: int) -> Any:
        return generator.normal(0, 0.5, shape).astype(np.float32)

    params = {name: {"kernel": draw(width, heads, dim), "bias": draw(heads, dim)} for name in ("query", "key", "value")}
    params["out"] = {"kernel": draw(heads, dim, width), "bias": draw(width)}
    result: Any = layers.SelfAttention(heads).apply({"params": params}, x, 5)
    for image in range(2):
        expected = np.tile(params["out"]["bias"], (5, 1))
        for head in range(heads):
            query, key, value = (
                x[image] @ params[name]["kernel"][:, head] + params[name]["bias"][head]
                for name in ("query", "key", "value")
            )
            weights = np.exp(query @ key.T / 2.0)  # sqrt(dim) = 2
            weights /= weights.sum(axis=1, keepdims=True)
            expected = expected + weights @ value @ params["out"]["kernel"][head]
        np.testing.assert_allclose(result[image], expected, atol=1e-4)


def test_gelu_is_the_tanh_form() -> None:
    x = np.linspace(-4, 4, 33, dtype=np.float32)
    expected = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(layers.gelu(jnp.asarray(x)), expected, atol=1e-6)
