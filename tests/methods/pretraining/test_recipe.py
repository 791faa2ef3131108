"""The recipe: schedule, decay, crops, mixup; each against what it says."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.config.pretrain import Recipe
from munet.joint.rounds import Stream
from munet.methods.pretraining import recipe

KEY = jax.random.key(0, impl="threefry2x32")


def test_length_is_epochs_or_steps_and_batches_are_at_most_all_images() -> None:
    assert recipe.num_steps(Recipe(num_epochs=40.0, batch_size=512), 47_500) == 3711
    assert recipe.num_steps(Recipe(num_steps=7), 47_500) == 7
    assert recipe.num_steps(Recipe(num_epochs=0.001, batch_size=512), 100) == 1
    assert recipe.batch_size(Recipe(batch_size=512), 100) == 100


@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_the_rate_rises_to_the_peak_and_falls_to_nothing(steps: int) -> None:
    rates = [float(recipe.learning_rate(Recipe(learning_rate=0.5, warmup_ratio=0.1), steps)(s)) for s in range(steps)]
    assert max(rates) == pytest.approx(0.5)
    if steps == 100:
        assert rates[0] == 0
        assert rates.index(max(rates)) == 10
        assert rates[5] == pytest.approx(0.25)
        assert rates[-1] < 1e-3
        assert all(late < early for early, late in itertools.pairwise(rates[10:]))


def test_only_matrices_decay() -> None:
    settings = Recipe(variant="demo/16", num_blocks=1, learning_rate=0.1, weight_decay=0.5, warmup_ratio=0.0)
    optimizer = recipe.optimizer(settings, 3)
    params = jax.tree.map(jnp.ones_like, recipe.initial_params(settings, 3, 0))
    state = optimizer.init(params)
    nothing = jax.tree.map(jnp.zeros_like, params)
    for _ in range(2):  # the first step of a warm-up has rate 0
        changes, state = optimizer.update(nothing, state, params)
    moved = {jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(changes) if leaf.any()}
    everything = {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)}
    assert moved == {path for path in everything if path.endswith("['kernel']")}
    assert len(moved) == 8
    assert len(everything) > 16


def test_mixup_mixes_images_and_targets_in_one_proportion() -> None:
    images, targets = jnp.arange(4.0).reshape(4, 1, 1, 1), jnp.eye(4)
    same = recipe.mixed(Recipe(), images, targets, KEY)
    assert same[0] is images
    assert same[1] is targets
    mixed_images, mixed_targets = recipe.mixed(Recipe(mixup_alpha=1.0), images, targets, KEY)
    share = float(mixed_targets[0, 0])
    assert 0 < share < 1
    np.testing.assert_allclose(
        mixed_targets, share * np.eye(4) + (1 - share) * np.roll(np.eye(4), 1, axis=0), atol=1e-6
    )
    np.testing.assert_allclose(mixed_images[:, 0, 0, 0], share * np.arange(4) + (1 - share) * np.array([3, 0, 1, 2]))


def test_every_step_and_purpose_draws_for_itself() -> None:
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int32)
    stream = Stream("merged", images, labels, 2, recipe.rng_path, recipe.PURPOSES)
    words = np.concatenate([stream.words(seed, 0, 20).reshape(-1, 2) for seed in range(2)])
    assert len(np.unique(words, axis=0)) == len(words) == 120


def test_augmentation_off_is_the_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    settings = Recipe(image_size=16, flip=False)
    plain = recipe.augmented(settings, jnp.asarray(images), KEY, KEY)
    np.testing.assert_allclose(plain, images / 127.5 - 1, atol=1e-5)
    flipped = np.asarray(recipe.augmented(Recipe(image_size=16), jnp.asarray(images), KEY, KEY))
    for one, image in zip(flipped, images / 127.5 - 1, strict=True):
        assert min(np.abs(one - image).max(), np.abs(one - image[:, ::-1]).max()) < 1e-5
