"""A root that has learnt nothing: the same values for the same name, everywhere, and refused in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import munet
from munet import roots
from munet.config import Experiment
from munet.errors import CheckpointError
from munet.roots.random_root import named
from munet.run.start import RootComponents


def test_the_name_decides_the_values() -> None:
    one, same, other = (roots.find(f"random:demo/16?seed={seed}") for seed in (1, 1, 2))
    assert (one.variant.name, one.num_blocks, one.facts.image_size) == ("demo/16", 3, 32)
    assert one.sha256 == same.sha256 != other.sha256
    values = [root.load(2)["encoderblock_1"]["MlpBlock_3/Dense_0/kernel"] for root in (one, same, other)]
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert one.load(1, 64)["posembed_input"]["pos_embedding"].shape == (1, 17, 64)


def test_a_run_begins_with_one_of_its_variant_seed_and_image_size() -> None:
    experiment = Experiment(tasks=("builtin:digits",), root="random", seed=3)
    assert named(experiment) == "random:demo/16?seed=3&image_size=32"
    assert named(dataclasses.replace(experiment, root="demo")) == "demo"
    components = RootComponents(experiment)
    assert components.checkpoint["name"] == "random:demo/16?seed=3&image_size=32"
    assert len(components.notes) == 1
    again = RootComponents(experiment)
    assert again.ids == components.ids
    assert RootComponents(dataclasses.replace(experiment, seed=4)).ids != components.ids


def test_it_gives_features() -> None:
    features = munet.load_root("random:demo/16").features(np.zeros((2, 32, 32, 3), np.float32))
    assert np.isfinite(np.asarray(features)).all()


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("random", "give e.g. random:Ti/16"),
        ("random:Ti/61", "Ti/16"),
        ("random:Ti/16?sed=1", "seed"),
        ("random:Ti/16?seed=-1", "whole number"),
        ("random:Ti/16?image_size=20", "multiple of 16"),
        ("randm:Ti/16", "random"),
    ],
)
def test_names_that_cannot_be_meant(reference: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=words.replace("?", r"\?")):
        roots.find(reference)
