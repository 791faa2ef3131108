"""AWD-LSTM: golden sizes, what is dropped where and when, what activations cost; and texts by words in a training."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from munet.config.muir import MuirExperiment
from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.methods.muir.blocks import Part, Plan
from munet.methods.muir.choice import nets_of, parse
from munet.methods.muir.language_models import PENALTIES, AwdLstm
from munet.methods.muir.nets import awd_lstm
from munet.methods.muir.objectives import judged
from munet.report import muir_status
from tests.methods.muir.small import mixed
from tests.methods.muir.test_job import run

NOTHING: dict[str, Any] = dict.fromkeys(("of_words", "of_input", "of_layers", "of_output", "of_weights"), 0.0)
KEYS = {"dropout": jax.random.key(1)}


def _text(steps: int = 6, rows: int = 3, symbols: int = 20) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).integers(0, symbols, (rows, steps)))


def _model(**changes: Any) -> tuple[AwdLstm, Any]:
    settings: dict[str, Any] = {"width": 8, "embedded": 4, **changes}
    model = AwdLstm(20, **settings)
    return model, jax.jit(model.init)(jax.random.key(0), _text())


@pytest.mark.parametrize(
    ("width", "weights", "blocks"), [(1136, 19_761_152, 77_192), (704, 8_840_192, 34_532)], ids=["19.8M", "8.8M"]
)
def test_the_lstms_have_the_weights_of_table_5(width: int, weights: int, blocks: int) -> None:
    net = awd_lstm(33_278, width)
    assert sum(math.prod(one.shape) for one in net.generated) == weights == 12 * width**2 + 3_200 * width + 640_000
    assert Plan((16, 16), [Part((0,), net.generated)]).num_locations == blocks == weights / 256
    biases = 2 * 4 * (2 * width + 400)
    assert net.num_params == weights + biases + 33_278 * 400 + 33_278
    assert parse(f"awd_lstm_{width}") == ("awd_lstm", width)


def test_every_layer_goes_on_with_its_own_width() -> None:
    assert [leaf.shape for leaf in jax.tree.leaves(awd_lstm(20, 8).start(3))] == [(3, 8)] * 4 + [(3, 400)] * 2
    model, params = _model()
    text, apply = _text(), jax.jit(model.apply)
    whole, carry = apply(params, text)
    assert jax.tree.map(np.shape, carry) == jax.tree.map(np.shape, awd_lstm(20, 8, embedded=4).start(3))
    first, carry = apply(params, text[:, :3])
    second, _ = apply(params, text[:, 3:], carry)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-4, atol=1e-6)  # type: ignore[arg-type]  # arrays


def test_nothing_is_dropped_where_it_is_measured() -> None:
    (model, params), text = _model(), _text()
    bare = jax.jit(AwdLstm(20, 8, 4, **NOTHING).apply)(params, text)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(model.apply)(params, text), bare)


def _trained(text: jax.Array, **changes: Any) -> tuple[Any, Any, Any]:
    """What every layer of a model that trains gives, its costs, and its parameters."""
    model, params = _model(**changes)
    kept = ["intermediates", PENALTIES]

    @jax.jit
    def trained(params: Any, text: jax.Array) -> Any:
        return model.apply(params, text, None, True, rngs=KEYS, mutable=kept, capture_intermediates=True)[1]

    found = trained(params, text)
    return found["intermediates"], found[PENALTIES], params["params"]


def test_masks_are_the_same_in_all_steps_of_a_piece() -> None:
    made, _, _ = _trained(jnp.full((200, 6), 7), of_words=0.0)
    for at, share in enumerate((0.65, 0.2, 0.2, 0.4), start=1):  # the first one is that of words
        (values,) = made[f"Dropout_{at}"]["__call__"]
        is_zero = np.asarray(values == 0)
        assert is_zero.mean() == pytest.approx(share, abs=0.05)
        assert (is_zero == is_zero[:, :1]).all()
        assert is_zero[:, 0].any(axis=0).all()  # every text has a mask of its own
        assert not is_zero[:, 0].all(axis=0).any()


def test_words_are_dropped_whole_and_in_the_input_only() -> None:
    text = jnp.asarray(np.tile(np.arange(20), (3, 1)))
    made, _, params = _trained(text, of_words=0.5, of_input=0.0)
    (values,) = made["Dropout_1"]["__call__"]
    is_zero = np.asarray(values == 0)
    assert 0.2 < is_zero.mean() < 0.8
    assert (is_zero.all(axis=-1) == is_zero.any(axis=-1)).all()
    assert (is_zero == is_zero[:1]).all()  # in all texts
    kept = ~is_zero[0, :, 0]
    np.testing.assert_allclose(np.asarray(values)[0][kept], 2 * np.asarray(params["embedding"])[kept], rtol=1e-6)


def test_weights_from_a_state_to_itself_are_dropped() -> None:
    made, _, params = _trained(_text(), width=24, embedded=24)
    for at in range(3):
        (weights,), own = made[f"lstm_{at}"]["Dropout_0"]["__call__"], params[f"lstm_{at}"]["hidden"]
        is_zero = np.asarray(weights == 0)
        assert is_zero.mean() == pytest.approx(0.5, abs=0.05)
        np.testing.assert_allclose(np.asarray(weights)[~is_zero], 2 * np.asarray(own)[~is_zero], rtol=1e-6)


def test_activations_cost_what_the_paper_says() -> None:
    made, costs, _ = _trained(_text())
    ((output, _),), (dropped,) = made["lstm_2"]["__call__"], made["Dropout_4"]["__call__"]
    steps = np.diff(np.asarray(output), axis=1)
    wanted = 2 * (np.asarray(dropped) ** 2).mean() + (steps**2).mean()
    assert float(costs["activations"][0]) == pytest.approx(wanted, rel=1e-5)
    _, costs, _ = _trained(_text(steps=1))
    assert np.isfinite(costs["activations"][0])


def test_costs_are_part_of_the_loss_of_training_only() -> None:
    net, text, key = awd_lstm(20, 8, steps=5, embedded=4), _text(), jax.random.key(3)
    leaves = {path: jnp.asarray(np.random.default_rng(1).normal(size=shape)) for path, shape in net.leaves.items()}
    scores, _, cost = jax.jit(net.apply)(leaves, text[:, :5], net.start(3), key)
    losses = -np.take_along_axis(np.asarray(jax.nn.log_softmax(scores)), np.asarray(text)[:, 1:, None], -1)
    judge = jax.jit(functools.partial(judged, net))
    found = judge(leaves, text[:, :5], text[:, 1:], net.start(3), key).losses
    assert float(cost) > 0.01
    np.testing.assert_allclose(found, losses.reshape(-1) + float(cost), rtol=1e-4)
    scores, _ = jax.jit(net.apply)(leaves, text[:, :5], net.start(3))  # where it is measured
    losses = -np.take_along_axis(np.asarray(jax.nn.log_softmax(scores)), np.asarray(text)[:, 1:, None], -1)
    np.testing.assert_allclose(
        judge(leaves, text[:, :5], text[:, 1:], net.start(3)).losses, losses.reshape(-1), rtol=1e-4
    )


def test_training_lowers_the_loss() -> None:
    """Of a text in which every symbol says the next one."""
    net, adam = awd_lstm(4, 16, steps=8, embedded=16), optax.adam(0.02)
    text = jnp.tile(jnp.arange(4), (5, 3))
    inputs, targets = text[:, :8], text[:, 1:9]
    leaves: Any = {
        path: 0.2 * jax.random.normal(jax.random.fold_in(jax.random.key(0), at), shape)
        for at, (path, shape) in enumerate(net.leaves.items())
    }

    @jax.jit
    def step(leaves: Any, moments: Any, key: jax.Array) -> Any:
        gradient = jax.grad(lambda leaves: judged(net, leaves, inputs, targets, net.start(5), key).losses.mean())
        moves, moments = adam.update(gradient(leaves), moments)
        return optax.apply_updates(leaves, moves), moments

    measure = jax.jit(lambda leaves: judged(net, leaves, inputs, targets, net.start(5)).losses.mean())
    before, moments = measure(leaves), adam.init(leaves)
    for at in range(60):
        leaves, moments = step(leaves, moments, jax.random.fold_in(jax.random.key(1), at))
    assert measure(leaves) < 0.5 * before


@pytest.fixture(scope="module")
def by_words(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("words")
    lines = [f"the {noun} {verb} it" for noun in ("cat", "dog") for verb in ("sees", "has", "eats")]
    drawn = np.random.default_rng(0).choice(lines, 700)
    (folder / "small.txt").write_text("\n".join(drawn))
    found = run(_settings(folder), folder / "run")
    return folder, found


def _settings(folder: Path, **changes: Any) -> Any:
    tasks = (f"text:{folder}/small.txt?unit=words", f"bytes=text:{folder}/small.txt")
    settings = {"tasks": tasks, "nets": ("lstm_8", "lstm_8"), "batch_sizes": (5, 5), "final_generations": 0}
    return mixed(folder, **{**settings, "learning_rate": 0.02, "generation_rounds": 15, "block_columns": 8, **changes})


def test_a_text_by_words_is_told_in_perplexity(
    by_words: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = by_words
    tasks = found["result"]["replicas"][0]["tasks"]
    assert {name: task["metric"] for name, task in tasks.items()} == {"small": "perplexity", "bytes": "bits a byte"}
    perplexity = math.exp(tasks["small"]["test_loss"])
    muir_status.print_status(str(folder / "run"), as_json=False, options=())
    said = " ".join(capsys.readouterr().out.split())
    assert f"small: test perplexity {perplexity:.2f} at the end" in said
    status = muir_status.status_json(str(folder / "run"))["replicas"][0]["tasks"]["small"]
    assert status["metric"] == "perplexity"
    assert not status["higher_is_better"]
    losses = [line["validation_losses"]["small"] for line in found["curve"]]
    assert losses[-1] < losses[0]
    assert perplexity < 10  # there are ten words; ends of lines, "the" and "it" are never in doubt


def test_texts_of_two_units_have_two_models(tmp_path: Path) -> None:
    """Though both have three symbols: a, b, and a blank or <eos>."""
    (tmp_path / "own.txt").write_text("a b " * 3_000)
    opened = OpenSettings(objectives=("next_token",))
    tasks = [open_task(f"text:{tmp_path}/own.txt{query}", opened) for query in ("?unit=words", "")]
    assert [task.info.num_classes for task in tasks] == [3, 3]
    assert [net.metric for net in nets_of(tasks, MuirExperiment())] == ["perplexity", "bits a byte"]
