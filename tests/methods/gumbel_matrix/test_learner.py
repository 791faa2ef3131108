"""Properties of the routing learner; what it owes the trainer is in tests/joint."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.joint.learner import Batch, Place
from munet.methods.gumbel_matrix import job, penalties
from munet.methods.gumbel_matrix.learner import Routing
from munet.methods.gumbel_matrix.network import component_name
from munet.methods.gumbel_matrix.state import Routed
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed


@cache  # one for all tests that take these settings: what takes their time is that its round is compiled
def learner_of(folder: Path, **changes: Any) -> Routing:
    found = job.prepare(routed.sines(folder, **changes)).learner
    assert isinstance(found, Routing)
    return found


@cache
def round_of(learner: Routing) -> Callable[..., Any]:
    """`learner.train`, compiled."""
    return jax.jit(learner.train)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learners")


def batches_of(names: tuple[str, ...], seed: int = 0, size: int = 4) -> dict[str, Batch]:
    words = np.random.default_rng(seed).integers(0, 2**32, (len(names), 4, 2), dtype=np.uint32)
    empty = jnp.zeros((size, 1, 1, 1), jnp.uint8), jnp.zeros(size, jnp.int32)
    return {name: Batch(*empty, jnp.asarray(words[place])) for place, name in enumerate(names)}


NAMES = ("a", "a_again", "b", "b_again")


def trained(learner: Routing, rounds: int = 1, seed: int = 0) -> tuple[Routed, Routed]:
    before = state = learner.initial(seed)
    for number in range(rounds):
        state, _ = round_of(learner)(state, batches_of(NAMES, number))
    return before, state


def with_logits(state: Routed, use: Any) -> Routed:
    """Connections that are as good as certain."""
    logits = np.stack([np.where(use, 30.0, -30.0), np.where(use, -30.0, 30.0)], axis=-1).astype(np.float32)
    return state._replace(logits=(logits,))


def test_what_is_kept_between_rounds_is_how_probable_connections_are(folder: Path) -> None:
    learner = learner_of(folder, p_init=(0.3,))
    before, state = trained(learner, rounds=2)
    same, record = learner.decide(before, Place(0, 2, 6))
    assert same is before
    assert record == {"probabilities": {name: [[0.3] * 4] for name in NAMES}}
    _, record = learner.decide(state, Place(0, 2, 6))
    assert record is not None
    kept = np.array([layers[0] for layers in record["probabilities"].values()])  # type: ignore[attr-defined]
    np.testing.assert_allclose(kept, learner.probabilities(state)[0], atol=1e-4)
    assert (kept != 0.3).any()
    fixed = learner_of(folder, allocation="all")
    assert fixed.decide(fixed.initial(0), Place(0, 2, 6))[1] is None


@pytest.mark.parametrize(("allocation", "use"), [("all", np.ones((4, 4))), ("own", np.eye(4))])
def test_certain_connections_are_a_fixed_pattern(folder: Path, allocation: str, use: Any) -> None:
    learnt, fixed = learner_of(folder, router_learning_rate=0), learner_of(folder, allocation=allocation)
    one = with_logits(learnt.initial(0), use > 0)
    other = fixed.initial(0)
    inputs = jax.random.normal(jax.random.key(0), (5, 128))
    learnt_says, fixed_says = jax.jit(learnt.answers), jax.jit(fixed.answers)
    for task in range(4):
        np.testing.assert_allclose(learnt_says(one, task, inputs), fixed_says(other, task, inputs), rtol=1e-6)
    one, _ = round_of(learnt)(one, batches_of(NAMES))  # and they train alike
    other, _ = round_of(fixed)(other, batches_of(NAMES))
    for left, right in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_a_component_that_no_task_uses_keeps_its_weights(folder: Path) -> None:
    learner = learner_of(folder, router_learning_rate=0)
    use = np.array([[True, True, False, True]] * 4)
    before = with_logits(learner.initial(0), use)
    after, _ = round_of(learner)(before, batches_of(NAMES))
    moved = [
        not all((after.params[name][leaf] == before.params[name][leaf]).all() for leaf in before.params[name])
        for name in (component_name(0, place) for place in range(4))
    ]
    assert moved == [True, True, False, True]
    assert component_name(0, 2) not in {part.name for part in learner.components(after)}


def test_without_any_component_the_loss_is_finite_and_connections_learn(folder: Path) -> None:
    learner = learner_of(folder)
    before = with_logits(learner.initial(0), np.zeros((4, 4), bool))
    # The slope of a sample that is certain has run out of numbers: nearly certain ones.
    before = before._replace(logits=(before.logits[0] / 4,))
    after, losses = round_of(learner)(before, batches_of(NAMES))
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    assert (np.asarray(after.logits[0]) != before.logits[0]).all()


def test_a_round_is_an_update_for_every_task_in_another_order(folder: Path) -> None:
    learner = learner_of(folder, moves_others=False)
    before, once = trained(learner)
    assert (np.asarray(once.logits[0]) != before.logits[0]).any(axis=(1, 2)).all()  # every task had its own
    _, after = trained(learner, rounds=3)
    assert int(after.updates) == 12
    assert int(after.moments[0].count) == 12
    orders = {
        tuple(np.asarray(jax.random.permutation(jax.random.wrap_key_data(batch.words[3], impl="threefry2x32"), 4)))
        for batch in (batches_of(NAMES, number)["a"] for number in range(20))
    }
    assert len(orders) > 10


def test_weights_and_logits_have_rates_of_their_own(folder: Path) -> None:
    def first_step(**changes: Any) -> tuple[float, float]:
        before, after = trained(learner_of(folder, **changes))
        weights = max(
            float(np.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (after[0], before[0])), strict=True)
        )
        return weights, float(np.abs(np.asarray(after.logits[0]) - before.logits[0]).max())

    weights, logits = first_step(learning_rate=0.01, router_learning_rate=0.2)
    assert 0.01 < weights < 0.05  # four updates of Adam, whose first is the rate itself
    assert 0.2 < logits < 1.0
    weights, logits = first_step(learning_rate=0.01, router_learning_rate=0)
    assert weights > 0.01
    assert logits == 0
    weights, logits = first_step(learning_rate=0.01)
    assert 0.01 < logits < 0.05


def test_l2_is_of_weights_but_not_of_biases_and_logits(folder: Path) -> None:
    learner = learner_of(folder, l2=0.1)
    state = learner.initial(0)
    state = state._replace(logits=(np.full((4, 4, 2), 3.0, np.float32),))
    params = jax.tree.map(lambda leaf: leaf + 1, state.params)
    found = penalties.total(learner._experiment, params, state.logits, jnp.int32(0), 0.0)
    kernels = [leaf for part in params.values() for name, leaf in part.items() if not name.endswith("bias")]
    assert len(kernels) == 12
    assert float(found) == pytest.approx(0.1 * 0.5 * sum(float((leaf**2).sum()) for leaf in kernels), rel=1e-5)


def test_others_stay_where_they_are_if_that_is_asked_for(folder: Path) -> None:
    def logits_after(**changes: Any) -> Any:
        learner = learner_of(folder, **changes)
        _, state = trained(learner, rounds=2)
        task = jnp.int32(0)
        words = batches_of(NAMES, 9)["a"].words
        inputs, labels = learner._source.batch(0, Batch(jnp.zeros((4, 1, 1, 1)), jnp.zeros(4), words))
        after, _ = jax.jit(learner._updated)(state, task, inputs, labels, words)
        return np.asarray(after.logits[0] != state.logits[0]).any(axis=(1, 2)).tolist()

    assert logits_after() == [True] * 4  # by their momentum
    assert logits_after(moves_others=False) == [True, False, False, False]


def test_what_a_task_alone_moves_begins_at_the_rate(folder: Path) -> None:
    """Adam's first step is the rate itself, whichever task comes last in the first round."""
    learner = learner_of(folder, moves_others=False, router_learning_rate=0.25)
    before, after = trained(learner)
    moved = np.abs(np.asarray(after.logits[0]) - before.logits[0]).max(axis=(1, 2))
    np.testing.assert_allclose(moved, 0.25, rtol=1e-3)


def test_the_budget_of_a_task_is_its_own_and_the_common_one_all_tasks(folder: Path) -> None:
    wasteful = np.array([[True] * 4] + [[False] * 4] * 3)
    for budget_of, expected in (("task", 0.5), ("all", 0.0)):
        learner = learner_of(folder, budget=0.5, budget_of=budget_of, budget_weight=1.0)
        state = with_logits(learner.initial(0), wasteful)
        found = float(penalties.total(learner._experiment, state.params, state.logits, jnp.int32(0), 0.0))
        assert found == pytest.approx(expected, abs=1e-6)


def test_measuring_draws_nothing(folder: Path) -> None:
    learner = learner_of(folder)
    _, state = trained(learner, rounds=2)
    inputs = jax.random.normal(jax.random.key(0), (5, 128))
    measure = jax.jit(learner.measure, static_argnums=1)
    first, second = (measure(state, "b", inputs, jnp.zeros(5)) for _ in range(2))
    assert (first.losses == second.losses).all()


@pytest.mark.slow
def test_heads_of_several_widths_are_padded_and_pads_never_win(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "third.npz", images=images, labels=np.arange(60) % 5)
    uris = tuple(f"npz:{tmp_path}/{name}.npz" for name in ("first", "third"))
    prepared = job.prepare(routed.config(tmp_path, tasks=uris))
    learner = prepared.learner
    state = learner.initial(0)
    assert state.params["head"]["kernel"].shape[::2] == (2, 5)
    assert (state.params["head"]["kernel"][0, :, 2:] == 0).all()
    state.params["head"]["bias"][0, 2:] = 1e6
    found = learner.measure(state, "first", jnp.zeros((3, 8, 8, 3)), jnp.zeros(3, jnp.int32))
    assert (np.asarray(found.classes) < 2).all()
    heads = [part for part in learner.components(state) if part.name == "head"]
    assert [part.arrays["kernel"].shape[1] for part in heads] == [2, 5]


def test_only_what_a_task_computes_costs_it(tmp_path: Path) -> None:
    learner = learner_of(tmp_path)
    use = np.array([[True, False, False, False], [True, True, False, False], [True] * 4, [True] * 4])
    facts = learner.facts(with_logits(learner.initial(0), use))
    one = 128 * 16 + 16 + 16 * 16 + 16 + 16 + 1
    assert [facts[name].params for name in NAMES] == [one, 2 * one, 4 * one, 4 * one]
    assert facts["a"].accounted_params == pytest.approx(one / 4)
    assert facts["b"].accounted_params == pytest.approx(one * (1 / 4 + 1 / 3 + 1 / 2 + 1 / 2))
    assert facts["a"].extras["rows"] == ["1000"]
    products = 2 * (128 * 16 + 16 * 16 + 16)
    assert [facts[name].flops for name in NAMES] == [products, 2 * products, 4 * products, 4 * products]


@pytest.mark.parametrize(
    ("rounds", "validate_every", "expected"), [(3000, 300, 150), (400, 200, 20), (1000, 103, 103), (6, 3, 1)]
)
def test_looks_at_connections_are_about_twenty_and_at_measurements(
    rounds: int, validate_every: int, expected: int
) -> None:
    assert job._kept_every(rounds, validate_every) == expected
    assert validate_every % expected == 0
