"""What predictions are worth: losses, texts in pieces, images brought to size; and architectures by name."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.data.splits import Split
from munet.methods.muir.choice import parse
from munet.methods.muir.metrics import METRICS
from munet.methods.muir.nets import Net, deep_bind, language_model, lenet, linear
from munet.methods.muir.objectives import arranged, augmented, evaluated, fitted, judged, windows


def leaves_of(net: Net) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    own = net.own(np.array([0, 1], np.uint32))
    made = {one.path: generator.normal(0, one.deviation, one.shape).astype(np.float32) for one in net.generated}
    return jax.tree.map(jnp.asarray, {**own, **made})


def test_a_text_is_cut_into_pieces_that_follow_each_other() -> None:
    cut = windows(np.arange(23), rows=2, steps=3)
    assert cut.tolist() == [[[0, 1, 2], [11, 12, 13]], [[3, 4, 5], [14, 15, 16]], [[6, 7, 8], [17, 18, 19]]]


def test_pieces_of_a_text_are_measured_as_one_text() -> None:
    net = language_model(7, 8, steps=5)
    text = np.random.default_rng(0).integers(0, 7, 201).astype(np.uint8)
    leaves, split = leaves_of(net), Split(text[:-1], text[1:].astype(np.int32))
    cut = arranged(net, split)
    assert (cut.inputs.shape, cut.counted) == ((4, 10, 5), 200)
    loss, right = evaluated(net, leaves, jnp.asarray(cut.inputs), jnp.asarray(cut.targets), cut.counted)
    rows = jnp.asarray(text[:-1].reshape(10, 20).astype(np.int32))
    scores, _ = net.apply(leaves, rows)
    expected = jax.nn.log_softmax(scores).reshape(200, 7)[np.arange(200), text[1:]]
    assert float(loss) == pytest.approx(-float(expected.mean()), rel=1e-5)
    assert int(right) == int((scores.reshape(200, 7).argmax(axis=1) == text[1:]).sum())


def test_padding_of_the_last_piece_does_not_count() -> None:
    net = linear((3,))
    x = np.random.default_rng(0).normal(size=(251, 3)).astype(np.float32)
    y = x.sum(axis=1)
    cut = arranged(net, Split(x, y))  # type: ignore[arg-type]  # numbers
    assert cut.inputs.shape == (2, 250, 3)
    leaves = {"weights/kernel": jnp.zeros((3, 1))}
    loss, _ = evaluated(net, leaves, jnp.asarray(cut.inputs), jnp.asarray(cut.targets), cut.counted)
    assert float(loss) == pytest.approx(float((y**2).mean()), rel=1e-5)


def test_images_of_any_size_come_to_one() -> None:
    grey = np.full((2, 28, 28, 1), 200, np.uint8)
    found = np.asarray(fitted(jnp.asarray(grey), 32))
    assert found.shape == (2, 32, 32, 3)
    assert (found[:, 2:30, 2:30] == 200).all()
    assert not found[:, :2].any()
    assert fitted(jnp.zeros((1, 48, 64, 3), jnp.uint8), 32).shape == (1, 32, 32, 3)


def test_training_images_are_moved_a_little_and_flipped() -> None:
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 16, 20] = 255
    images = jnp.asarray(np.repeat(image, 200, axis=0))

    def places(flip: bool) -> list[set[int]]:
        found = np.asarray(augmented(images, jax.random.key(0), flip=flip))
        return [set(of_axis.tolist()) for of_axis in np.argwhere(found[..., 0] == 255)[:, 1:].T]

    assert places(False) == [set(range(12, 21)), set(range(16, 25))]
    assert places(True) == [set(range(12, 21)), set(range(16, 25)) | {31 - column for column in range(16, 25)}]


def test_a_text_goes_on_with_what_it_ended_with() -> None:
    net = language_model(7, 8, steps=5)
    leaves = leaves_of(net)
    text = jnp.asarray(np.random.default_rng(1).integers(0, 7, (2, 11)).astype(np.uint8))
    whole = judged(net, leaves, text[:, :10], text[:, 1:], net.start(2)).losses.reshape(2, 10)
    first = judged(net, leaves, text[:, :5], text[:, 1:6], net.start(2))
    second = judged(net, leaves, text[:, 5:10], text[:, 6:], first.carry)
    np.testing.assert_allclose(whole[:, 5:], second.losses.reshape(2, 5), rtol=1e-5)
    afresh = judged(net, leaves, text[:, 5:10], text[:, 6:], net.start(2))
    assert np.abs(afresh.losses - second.losses).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lstm_16", ("lstm", 16)), ("deep_bind", ("deep_bind", 64)), ("lenet", ("lenet", 0)), ("lenet_3", ("lenet_3", 0)),
     ("lstm_x", ("lstm_x", 0)), ("lstm_0", ("lstm_0", 0))],
)  # fmt: skip
def test_names_say_widths(name: str, expected: tuple[str, int]) -> None:
    assert parse(name) == expected


def test_metrics_of_losses() -> None:
    assert METRICS["bits a byte"].of_loss(np.log(2)) == pytest.approx(1)  # type: ignore[misc]  # it has one
    assert METRICS["RMSE"].of_loss(4.0) == 2  # type: ignore[misc]  # it has one
    assert [name for name, metric in METRICS.items() if metric.is_higher_better] == ["accuracy"]


def test_flops_are_those_of_products() -> None:
    assert linear((20,)).flops == 2 * 20
    lenet_products = 900 * 75 * 16 + 169 * 400 * 16 + 576 * 128 + 128 * 96 + 96 * 10
    assert lenet().flops == 2 * lenet_products
    width, symbols = 8, 7
    a_symbol = 2 * (4 * width * width * 2) + width * symbols
    assert language_model(symbols, width, steps=5).flops == 2 * a_symbol
    places = 40 - 24 + 1
    of_symbols = 5 * 24 * 16 * 16  # each tap's matrix applied to each symbol's embedding
    assert deep_bind(16, 40).flops == 2 * (of_symbols + places * 24 * 5 * 16 + 16 * 16 + 16)
