"""The table of CIFAR-100's groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.data.cifar100_groups import GROUPS, task_uri

LABELS = Path(__file__).parents[3] / "shared/tfds/cifar100_subset/1.0.0/label.labels.txt"


def test_every_class_is_in_one_group() -> None:
    classes = [name for group in GROUPS.values() for name in group]
    assert len(GROUPS) == 20
    assert all(len(group) == 5 for group in GROUPS.values())
    assert len(set(classes)) == 100
    assert task_uri("fish") == "tfds:cifar100_subset?classes=aquarium_fish,flatfish,ray,shark,trout&name=cifar/fish"


@pytest.mark.skipif(not LABELS.exists(), reason="needs tfds:cifar100_subset of ../shared/tfds")
def test_classes_are_spelt_as_the_set_spells_them() -> None:
    assert {name for group in GROUPS.values() for name in group} == set(LABELS.read_text("utf-8").split())
