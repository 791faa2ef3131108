"""MUiR's learner: first values, what a round moves, what a decision resets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from munet.joint.learner import Batch, Place
from munet.methods.muir import job
from munet.methods.muir import state as states
from munet.methods.muir.alignment import resting
from munet.methods.muir.blocks import Part, Plan, dense
from munet.methods.muir.hypermodules import generate
from munet.methods.muir.learner import Muir
from tests.joint.conformance import same
from tests.methods.muir.small import config


def learner_of(folder: Path, **changes: Any) -> tuple[Muir, dict[str, Batch]]:
    prepared = job.prepare(config(folder, **changes))
    batches = {one.name: Batch(jnp.asarray(one.images), jnp.asarray(one.labels), jnp.zeros((1, 2), jnp.uint32))
               for one in prepared.streams}  # fmt: skip
    assert isinstance(prepared.learner, Muir)
    return prepared.learner, batches


def trained(learner: Muir, batches: dict[str, Batch], rounds: int = 3) -> tuple[Any, Any]:
    before = learner.initial(0)
    state = before
    step = jax.jit(learner.train)
    for _ in range(rounds):
        state, _ = step(state, batches)
    return before, jax.tree.map(np.asarray, state)


@pytest.mark.parametrize("context", [1, 4])
def test_generated_weights_start_with_hes_variance(tmp_path: Path, context: int) -> None:
    settings = config(tmp_path, context=context).experiment
    plan = Plan((20, 10), [Part(tuple(range(200)), (dense("kernel", (60, 20)),))])
    modules = states.first_modules(settings, plan, ("x",))
    contexts = states.context_values(settings, plan)
    blocks = generate(jnp.asarray(modules), jnp.asarray(contexts), jnp.arange(len(modules))[None])
    assert np.var(np.asarray(blocks)) == pytest.approx(2 / 60, rel=0.02)
    assert modules.std() == pytest.approx(1 / math.sqrt(context), rel=0.02)


def test_eq_7_as_printed_makes_the_variance_too_small_by_the_context(tmp_path: Path) -> None:
    plan = Plan((20, 10), [Part((0,), (dense("kernel", (60, 20)),))])
    right, printed = (
        states.context_values(config(tmp_path, context=4, context_scale=scale).experiment, plan)
        for scale in ("variance", "paper")
    )
    np.testing.assert_allclose((right / printed) ** 2, 4, rtol=1e-6)


def test_separate_blocks_start_with_the_same_variance_or_the_frameworks(tmp_path: Path) -> None:
    plan = Plan((20, 10), [Part(tuple(range(200)), (dense("kernel", (60, 20)),))])
    for initial, variance in (("he", 2 / 60), ("framework", 1 / (3 * 60))):
        settings = config(tmp_path, sharing="separate", context=0, initial=initial).experiment
        modules = states.first_modules(settings, plan, ("x",))
        assert np.var(modules) == pytest.approx(variance, rel=0.02)
        if initial == "framework":
            assert np.abs(modules).max() <= 1 / math.sqrt(60)


def test_scores_of_locations_that_were_not_drawn_do_not_move_by_a_bit(tmp_path: Path) -> None:
    learner, batches = learner_of(tmp_path)
    before, after = trained(learner, batches, rounds=20)
    drawn = before.drawn
    assert 0 < drawn.sum() < len(drawn)
    assert same(before.scores[:, ~drawn], after.scores[:, ~drawn])
    differs = (before.candidates != before.candidates[0]).any(axis=0)
    assert (before.scores[:, differs] != after.scores[:, differs]).any(axis=0).all()


def test_a_decision_resets_scores_and_their_moments_alone(tmp_path: Path) -> None:
    learner, batches = learner_of(tmp_path, new_module=0.0)
    _, state = trained(learner, batches, rounds=6)
    decided, record = learner.decide(state, Place(0, 6, 30))
    assert not np.any(decided.scores)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(decided.score_moments))
    assert same(decided.trained, state.trained)
    assert same(decided.moments, state.moments)
    np.testing.assert_array_equal(decided.candidates[0], learner.winners(state)[0])
    assert record is not None
    assert record["generation"] == 1
    mapping = np.array(state.candidates[0])
    for at, old, new in record["changes"]:  # type: ignore[attr-defined]  # a list
        assert mapping[at] == old
        mapping[at] = new
    np.testing.assert_array_equal(mapping, decided.candidates[0])


@pytest.mark.parametrize("resets", [True, False])
def test_a_module_that_is_tried_anew_begins_anew(tmp_path: Path, resets: bool) -> None:
    learner, batches = learner_of(tmp_path, new_module=1.0, reset_new_moments=resets)
    _, state = trained(learner, batches, rounds=6)
    crowded = resting(np.zeros(learner.plan.num_locations, np.int32), 2)
    state = state._replace(candidates=crowded.candidates)
    decided, _ = learner.decide(state, Place(0, 6, 30))
    fresh = np.unique(decided.candidates[1:, decided.drawn])
    assert 0 not in fresh
    kept = np.setdiff1d(np.arange(learner.plan.num_locations), fresh)
    assert (decided.trained.modules[fresh] != state.trained.modules[fresh]).all()
    assert same(decided.trained.modules[kept], state.trained.modules[kept])
    moments = decided.moments.mu.modules[fresh]
    assert np.any(state.moments.mu.modules[fresh])
    assert not np.any(moments) if resets else same(moments, state.moments.mu.modules[fresh])


@pytest.mark.parametrize("resets", [True, False])
def test_a_module_that_is_tried_anew_moves_as_any_that_begins(tmp_path: Path, resets: bool) -> None:
    """Adam's first step is its rate, whatever the gradient, and the next ones are those of an Adam of its own."""
    learner, batches = learner_of(tmp_path, new_module=1.0, reset_new_moments=resets, challengers=1, share=1.0)
    _, state = trained(learner, batches, rounds=50)
    crowded = resting(np.zeros(learner.plan.num_locations, np.int32), 1)
    state, _ = learner.decide(state._replace(candidates=crowded.candidates), Place(0, 6, 30))
    fresh = np.unique(state.candidates[1])
    rate, step = learner.experiment.learning_rate, jax.jit(learner.train)
    after = jax.tree.map(np.asarray, step(state, batches)[0])
    steps = np.abs(after.trained.modules[fresh] - state.trained.modules[fresh]) / rate
    if not resets:
        assert (np.abs(steps - 1) > 0.01).any()
        return
    np.testing.assert_allclose(steps, 1, rtol=2e-3)
    # The gradients of the next rounds are told from the moments; an Adam that begins with them says the moves.
    own, moments = optax.scale_by_adam(), optax.scale_by_adam().init(state.trained.modules[fresh])
    before = state
    for _ in range(5):
        after = jax.tree.map(np.asarray, step(before, batches)[0])
        old = np.asarray(before.moments.mu.modules)[fresh]
        moves, moments = own.update((after.moments.mu.modules[fresh] - 0.9 * old) / 0.1, moments)
        moved = (np.asarray(before.trained.modules)[fresh] - after.trained.modules[fresh]) / rate
        np.testing.assert_allclose(moved, moves, atol=5e-3)
        before = after


def test_modules_from_the_start_move_as_adam_has_it_to_the_bit(tmp_path: Path) -> None:
    learner, batches = learner_of(tmp_path)
    _, state = trained(learner, batches, rounds=4)
    _, other = trained(learner_of(tmp_path, reset_new_moments=False)[0], batches, rounds=4)
    assert not state.born.any()
    assert same(state.trained, other.trained)


def test_after_the_search_the_winners_stay_alone(tmp_path: Path) -> None:
    learner, batches = learner_of(tmp_path)
    _, state = trained(learner, batches, rounds=6)
    decided, record = learner.decide(state, Place(0, 24, 30))
    assert record is not None
    assert not decided.drawn.any()
    assert (decided.candidates == decided.candidates[0]).all()
    assert learner.decide(decided, Place(0, 30, 36))[1] is None  # final generations decide nothing


def test_burn_in_has_no_challengers(tmp_path: Path) -> None:
    learner, _ = learner_of(tmp_path, burn_in=2)
    state = learner.initial(0)
    assert not state.drawn.any()
    assert learner.decide(state, Place(0, 6, 30))[1] is None
    begun, record = learner.decide(state, Place(0, 12, 30))
    assert begun.drawn.any()
    assert record == {
        "generation": 0, "changes": [], "mass": 1.0, "modules": {str(task): 1 for task in range(6)}, "score": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{"challengers": 0}, {"share": 0.0}, {"sharing": "given"}, {"sharing": "separate", "context": 0}]
)
def test_without_challengers_nothing_is_searched(tmp_path: Path, changes: dict[str, Any]) -> None:
    learner, batches = learner_of(tmp_path, **changes)
    assert not learner.has_search
    before, after = trained(learner, batches)
    assert same(before.scores, after.scores)
    assert learner.decide(after, Place(0, 6, 30)) == (after, None)
    if changes.get("sharing") == "given":
        assert after.candidates[0].tolist() == [0, 0, 0, 1, 1, 1]


def test_what_is_measured_is_what_would_win(tmp_path: Path) -> None:
    """Refined: the models after the decision, to the bit; merged: those that train."""
    learner, batches = learner_of(tmp_path, new_module=0.0)
    _, state = trained(learner, batches, rounds=6)
    decided, _ = learner.decide(state, Place(0, 24, 30))
    (stream,) = batches.values()
    inputs, targets = [jnp.moveaxis(stream.images, 1, 0)[:, None]], [stream.labels.T[:, None]]
    count = [len(stream.labels)]
    assert same(learner.evaluate(state, inputs, targets, count), learner.evaluate(decided, inputs, targets, count))
    merged, _ = learner_of(tmp_path, new_module=0.0, measured="merged")
    _, training = merged.train(state, batches)
    ((loss, _),) = merged.evaluate(state, inputs, targets, count)
    assert float(loss.mean()) == pytest.approx(float(next(iter(training.values()))), rel=1e-5)
    assert not same(loss, learner.evaluate(state, inputs, targets, count)[0][0])


def test_without_contexts_they_stay_one(tmp_path: Path) -> None:
    learner, batches = learner_of(tmp_path, sharing="separate", context=0)
    _, after = trained(learner, batches)
    assert (after.trained.contexts == 1).all()
    assert all("contexts" not in part.arrays for part in learner.components(after))
