"""The estimate of fit: which images it looks at, what it counts, and that a shared trunk is looked at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import cast

import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from munet.data.splits import Split
from munet.data.tasks import Task
from munet.training.assemble import FlatArrays
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure import trunk_fit
from munet.types import ChildPlan, ComponentId, Position
from munet.vit import forward
from tests.training.children import VARIANT, FakeTask, config, loader_of, random_child, work_of

SIZE = 16
WORK = replace(work_of(config()), num_blocks=2)


class TrainOnly(FakeTask):
    """A task that hands out nothing but its training images."""

    def split(self, name: str) -> Split:
        assert name == "train", f"the estimate looks at {name} images"
        return super().split(name)


def seed_children(count: int) -> list[ChildPlan]:
    """Children of different trunks and parents, that train a head only."""
    children = []
    for index in range(count):
        child = random_child(index, id=index + 1, image_size=SIZE)
        plans = [replace(plan, action="share", trainable=False) for plan in child.components]
        children.append(replace(child, parent=index + 10, is_seed=True, components=tuple(plans)))
    return children


def measure(children: list[ChildPlan], loaded: list[ComponentId] | None = None, seed: int = 0) -> dict[int, float]:
    load = loader_of(children)

    def remember(identity: ComponentId) -> FlatArrays:
        if loaded is not None:
            loaded.append(identity)
        return load(identity)

    work, task = replace(WORK, seed=seed), cast(Task, TrainOnly(num_train=700, size=SIZE))
    return trunk_fit.measure(work, children, task, Position(), remember)[0]


def test_a_draw_is_the_same_every_time_and_takes_all_classes_alike() -> None:
    labels = np.repeat(np.arange(6), [50, 50, 50, 50, 3, 1]).astype(np.int32)
    drawn = trunk_fit.draw(labels, ("a",), 83)
    assert np.array_equal(drawn, trunk_fit.draw(labels, ("a",), 83))
    assert not np.array_equal(drawn, trunk_fit.draw(labels, ("b",), 83))
    assert np.array_equal(drawn, np.unique(drawn))
    assert Counter(labels[drawn].tolist()) == {0: 20, 1: 20, 2: 20, 3: 20, 4: 3}  # the last class cannot be left out
    assert np.array_equal(trunk_fit.draw(labels, ("a",), 1000), np.arange(203))
    assert set(trunk_fit.draw(labels, ("a",), 40)) < set(drawn)


def test_of_too_many_classes_only_some_are_drawn() -> None:
    labels = (np.arange(4000) % 400).astype(np.int32)
    counts = Counter(labels[trunk_fit.draw(labels, ("a",), 100, 4)].tolist())
    assert len(counts) == 25
    assert set(counts.values()) == {4}


def test_where_no_class_has_two_images_all_fit_alike() -> None:
    class Single(TrainOnly):
        def split(self, name: str) -> Split:
            images = super().split(name).images[:5]
            return Split(images, np.arange(5, dtype=np.int32))

    assert not len(trunk_fit.draw(np.arange(5, dtype=np.int32), ("a",)))
    children = seed_children(2)
    fits = trunk_fit.measure(WORK, children, cast(Task, Single(size=SIZE)), Position(), loader_of(children))
    assert fits == ({10: 0.0, 11: 0.0}, 0)


def test_fit_is_what_leaving_out_every_image_by_hand_gives() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), [9, 8, 3, 2, 2])
    features = (random.normal(size=(24, 7)) + 0.6 * labels[:, None]).astype(np.float32)
    right = 0
    for index in range(24):
        others = np.arange(24) != index
        means = [features[others & (labels == label)].mean(0) for label in range(5)]
        right += np.argmin([np.linalg.norm(features[index] - mean) for mean in means]) == labels[index]
    assert trunk_fit.leave_one_out(features, labels) == right / 24
    assert 0 < right < 24


def test_fit_of_separate_classes_is_one_and_of_noise_about_chance() -> None:
    random = np.random.default_rng(1)
    labels = np.arange(200) % 4
    noise = random.normal(size=(200, 16)).astype(np.float32)
    assert trunk_fit.leave_one_out(noise + 20 * np.eye(4, 16)[labels], labels) == 1
    assert trunk_fit.leave_one_out(noise, labels) < 0.45
    assert trunk_fit.leave_one_out(noise * np.float32(np.nan), labels) == 0


def test_fits_depend_on_the_trunk_only_and_not_on_the_order_of_candidates() -> None:
    children = seed_children(5)
    fits = measure(children)
    assert list(fits) == [child.parent for child in children]
    assert len(set(fits.values())) > 2
    assert measure(children) == fits
    assert measure(children[::-1]) == fits
    for child in children:
        assert measure([child]) == {child.parent: fits[child.parent]}
    assert measure(children, seed=1) != fits  # other images


def test_a_shared_trunk_is_looked_at_once() -> None:
    first, second = seed_children(2)
    *trunk, head = first.components
    heads = [
        replace(first, parent=parent, components=(*trunk, replace(head, source=f"{parent}:head")))
        for parent in (20, 21)
    ]
    calls: Counter[str] = Counter()
    whole = trunk_fit.class_tokens

    def count(*arguments: object) -> object:
        calls["tokens"] += 1
        return whole(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trunk_fit, "class_tokens", count)
        loaded: list[ComponentId] = []
        fits = measure([heads[0], second, heads[1], first], loaded)
    assert calls["tokens"] == 2
    assert fits[20] == fits[21] == fits[first.parent]
    assert max(Counter(loaded).values()) == 1
    assert not any("head" in identity for identity in loaded)


def test_class_tokens_are_the_features_of_the_model() -> None:
    task = FakeTask(num_train=40, size=SIZE)
    (child,) = seed_children(1)
    load = loader_of([child])
    components = {plan.name: load(plan.source or "") for plan in child.components}
    pieces = list(evaluation_batches(task.split("train"), Resize(SIZE, antialias=False)))
    tokens = trunk_fit.class_tokens(WORK, components, child.hyperparameters, pieces)
    images = jnp.asarray(task.split("train").decoded.astype(np.float32) / 127.5 - 1)
    blocks = sum(name.startswith("encoderblock") for name in components)
    expected = forward.features(
        VARIANT,
        {name: unflatten_dict(arrays, sep="/") for name, arrays in components.items()},
        images,
        num_blocks=blocks,
    )
    np.testing.assert_allclose(tokens, expected, atol=2e-4)
