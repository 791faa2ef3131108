"""The paper's architectures: golden counts of blocks and parameters, and layers against their definitions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from munet.methods.muir.architectures import Convolution, Dense, WideResNet
from munet.methods.muir.blocks import Part, Plan
from munet.methods.muir.language_models import LanguageModel, Lstm
from munet.methods.muir.nets import Net, deep_bind, language_model, lenet, linear, wide_resnet

BLOCK = (16, 16)
# Parameters by hand, layer by layer: kernels and biases; norms have two numbers a channel.
LENET = (75 * 16 + 16) + (400 * 16 + 16) + (576 * 128 + 128) + (128 * 96 + 96) + (96 * 10 + 10)


def _wide_resnet() -> int:
    total, before = 27 * 16, 16
    for width in (16, 32, 64):
        for _ in range(6):
            total += (2 * before) + (9 * before * width + width) + (2 * width) + (9 * width * width + width)
            total += (9 * before * width + width) if before != width else 0
            before = width
    return total + 2 * 64 + 64 * 10 + 10


def _lstm(symbols: int, width: int) -> int:
    return symbols * width + symbols + 2 * (2 * 4 * width * width + 2 * 4 * width)


def _deep_bind(width: int) -> int:
    return 5 * width + (24 * width * width + width) + (width * width + width) + (width + 1)


@pytest.mark.parametrize(
    ("net", "blocks", "params"),
    [
        (wide_resnet(), 2268, _wide_resnet()),
        (lenet(), 361, LENET),
        (language_model(33_278), 4096, _lstm(33_278, 256)),
        (language_model(128, 128), 1024, _lstm(128, 128)),
        (deep_bind(), 6400, _deep_bind(256)),
        (deep_bind(64), 400, _deep_bind(64)),
    ],
    ids=lambda value: value.name if isinstance(value, Net) else str(value),
)
def test_golden_counts(net: Net, blocks: int, params: int) -> None:
    assert Plan(BLOCK, [Part((0,), net.generated)]).num_locations == blocks
    assert net.num_params == params


def test_the_three_of_the_cross_modal_study_together() -> None:
    nets = (lenet(), language_model(33_278), deep_bind())
    assert Plan(BLOCK, [Part((at,), net.generated) for at, net in enumerate(nets)]).num_locations == 10_857


SMALL = [linear((20,)), lenet(), language_model(50, 16), deep_bind(16, 40)]


def applied(module: nn.Module, variables: Any, *inputs: Any, **options: Any) -> Any:
    """What a module gives, for tests that compare it."""
    return module.apply(variables, *inputs, **options)


@pytest.mark.parametrize("net", SMALL, ids=lambda net: net.name)
def test_models_are_made_of_generated_and_own_leaves(net: Net) -> None:
    own = net.own(np.array([0, 1], np.uint32))
    generated = {one.path: jnp.zeros(one.shape) for one in net.generated}
    assert set(own) | set(generated) == set(net.leaves)
    assert not set(own) & set(generated)
    assert {path: leaf.shape for path, leaf in own.items()} == {path: net.leaves[path] for path in own}
    outputs = net.apply({**own, **generated}, jnp.zeros((2, *net.inputs), net.dtype))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outputs))


def test_what_is_not_generated_starts_as_pytorch_has_it() -> None:
    own = lenet().own(np.array([0, 1], np.uint32))
    stem, head = own["conv_1/kernel"], own["head/kernel"]
    assert np.abs(stem).max() <= 1 / np.sqrt(75)
    assert np.var(stem) == pytest.approx(1 / (3 * 75), rel=0.1)
    assert np.abs(head).max() <= 1 / np.sqrt(96)
    assert 0 < np.abs(own["conv_1/bias"]).max() <= 1 / np.sqrt(75)
    assert not own["conv_2/bias"].any()  # beside a generated kernel
    text = language_model(50, 16).own(np.array([0, 1], np.uint32))
    assert np.abs(text["embedding"]).max() <= 0.1
    assert 0 < np.abs(text["lstm_0/hidden_bias"]).max() <= 1 / 4
    assert not text["decoder_bias"].any()
    embedding = deep_bind(256, 40).own(np.array([0, 1], np.uint32))["embedding"]
    assert embedding.std() == pytest.approx(1, rel=0.1)


def test_a_wide_resnet_runs() -> None:
    net = WideResNet(10, blocks=1)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    variables = net.init(jax.random.key(0), images)
    scores, changed = applied(net, variables, images, trains=True, mutable=["batch_stats"])
    assert scores.shape == applied(net, variables, images).shape == (2, 10)
    assert changed["batch_stats"]


@pytest.mark.parametrize(("taps", "stride", "padding"), [((3, 3), 1, 1), ((5, 5), 1, 1), ((3, 3), 2, 1), ((4,), 1, 0)])
def test_convolutions_are_flaxs(taps: tuple[int, ...], stride: int, padding: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, *[9] * len(taps), 3)).astype(np.float32)
    ours = Convolution(taps, 4, stride, padding)
    params = ours.init(jax.random.key(0), x)
    axes = len(taps)
    theirs = nn.Conv(4, taps, (stride,) * axes, [(padding, padding)] * axes)
    np.testing.assert_allclose(applied(ours, params, x), applied(theirs, params, x), rtol=1e-4, atol=1e-5)


def test_an_lstm_step_by_hand() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    layer = Lstm(4)
    zeros = (jnp.zeros((2, 4)), jnp.zeros((2, 4)))
    variables = layer.init(jax.random.key(0), x, zeros)
    made, (hidden, cell) = applied(layer, variables, x, zeros)
    p = {name: np.asarray(leaf) for name, leaf in variables["params"].items()}

    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    h, c = np.zeros((2, 4)), np.zeros((2, 4))
    for at in range(3):
        gates = [
            x[:, at] @ p["input"][g] + h @ p["hidden"][g] + p["input_bias"][g] + p["hidden_bias"][g] for g in range(4)
        ]
        c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * np.tanh(gates[2])
        h = sigmoid(gates[3]) * np.tanh(c)
        np.testing.assert_allclose(made[:, at], h, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cell, c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(hidden, h, rtol=1e-4, atol=1e-5)


def test_a_text_in_two_pieces_is_one_text() -> None:
    model = LanguageModel(20, 8)
    text = jnp.asarray(np.random.default_rng(0).integers(0, 20, (2, 10)))
    params = model.init(jax.random.key(0), text)
    whole, _ = applied(model, params, text)
    first, carry = applied(model, params, text[:, :4])
    second, _ = applied(model, params, text[:, 4:], carry)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-4, atol=1e-6)


def test_dense_is_a_product_and_a_bias() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    params = Dense(2, is_generated=False).init(jax.random.key(0), x)
    leaves = {name: np.asarray(leaf) for name, leaf in params["params"].items()}
    np.testing.assert_allclose(
        applied(Dense(2), params, x), x @ leaves["kernel"] + leaves["bias"], rtol=1e-5, atol=1e-6
    )  # fmt: skip
