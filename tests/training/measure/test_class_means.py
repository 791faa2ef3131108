"""Heads from class means: as by hand, better than zeros at once, once a trunk, and paid for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from munet.data.splits import Split
from munet.training.assemble import FlatArrays
from munet.training.measure import class_means, trunk_fit
from munet.training.measure.class_means import Heads, head
from munet.types import ChildPlan
from tests.training.children import FakeTask, config, loader_of, random_child, work_of

SIZE = 16
WORK = replace(work_of(config()), num_blocks=2, new_heads="class_means")


def new_child(index: int, trunk: int) -> ChildPlan:
    """A child with a new head on one of several trunks."""
    child = random_child(trunk, id=index, image_size=SIZE)
    plans = [
        replace(plan, action="init", source=None, trainable=True)
        if plan.name == "head"
        else replace(plan, action="clone" if plan.source else plan.action, trainable=True)
        for plan in child.components
    ]
    return replace(child, components=tuple(plans))


def clusters(seed: int = 0, classes: int = 5, each: int = 12, apart: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(classes), each)
    centres = random.normal(size=(classes, 8)) * apart
    return (centres[labels] + random.normal(size=(len(labels), 8))).astype(np.float32), labels


def logits(arrays: FlatArrays, features: np.ndarray) -> np.ndarray:
    return np.asarray(features @ arrays["kernel"] + arrays["bias"])


def test_the_head_answers_with_the_nearest_mean() -> None:
    features, labels = clusters(apart=1.0)
    arrays = head(features, labels, 5)
    means = np.stack([features[labels == label].mean(axis=0) for label in range(5)])
    nearest = ((features[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(logits(arrays, features).argmax(axis=1), nearest)
    assert {name: leaf.dtype for name, leaf in arrays.items()} == {"bias": np.float32, "kernel": np.float32}


@pytest.mark.parametrize("apart", [0.2, 1.0, 2.0])
def test_its_sharpness_suits_images_that_it_has_not_seen(apart: float) -> None:
    features, labels = clusters(apart=apart)
    found = head(features[::2], labels[::2], 5)

    def loss(factor: float) -> float:
        scores = factor * logits(found, features[1::2]).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[np.arange(len(scores)), labels[1::2]]
        return float((np.log(np.exp(scores).sum(axis=1)) - own).mean())

    assert loss(1.0) < loss(0.0) if apart > 0.5 else loss(1.0) < loss(0.0) + 0.05
    assert loss(1.0) < loss(8.0) + 1e-9


def test_classes_without_images_and_features_without_sense_do_no_harm() -> None:
    features, labels = clusters(classes=3)
    arrays = head(features, np.where(labels == 1, 4, labels), 6)
    assert arrays["kernel"].shape == (8, 6)
    assert set(logits(arrays, features).argmax(axis=1).tolist()) <= {0, 2, 4}
    features[3, 2] = np.nan
    assert not any(array.any() for array in head(features, labels, 3).values())
    alone = head(clusters(classes=4, each=1)[0], np.arange(4), 4)
    assert all(np.isfinite(array).all() for array in alone.values())


def test_a_trunk_is_looked_at_once_and_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    children = [new_child(1, trunk=0), new_child(2, trunk=1), new_child(3, trunk=0)]
    children[2] = replace(children[0], id=3)
    seen: list[int] = []
    whole = trunk_fit.class_tokens

    def tokens(*arguments: object) -> np.ndarray:
        seen.append(1)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(class_means, "class_tokens", tokens)
    train = FakeTask(num_train=60, size=SIZE).split("train")
    heads = Heads(WORK, train, loader_of(children), ("a",))
    found = heads.of(children)
    assert sorted(found) == [1, 2, 3]
    assert len(seen) == 2
    assert [heads.cost(child.id) for child in children] == [20, 20, 0]  # 60 passes cost as much as training on 20
    assert np.array_equal(found[1]["kernel"], found[3]["kernel"])
    assert not np.array_equal(found[1]["kernel"], found[2]["kernel"])


def test_children_that_clone_their_head_get_none() -> None:
    child = new_child(1, trunk=0)
    plans = [replace(plan, action="clone", source="x") if plan.name == "head" else plan for plan in child.components]
    train = Split(np.zeros((4, SIZE, SIZE, 1), np.uint8), np.arange(4, dtype=np.int32))
    assert Heads(WORK, train, loader_of([child]), ("a",)).of([replace(child, components=tuple(plans))]) == {}


def test_all_classes_are_drawn_alike_also_those_with_one_image() -> None:
    labels = np.repeat(np.arange(4), [30, 30, 3, 1])
    drawn = class_means._draw(labels, ("a",), 20)
    counts = np.bincount(labels[drawn])
    assert counts.tolist() == [8, 8, 3, 1]
