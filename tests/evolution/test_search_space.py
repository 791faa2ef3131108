from __future__ import annotations

from dataclasses import fields

import pytest

from munet.config import Baseline, Experiment, SearchSpace
from munet.config.evolve import Insertion
from munet.evolution.search_space import (
    DATA_SETTINGS,
    LORA_SETTINGS,
    MODEL_SETTINGS,
    default_hyperparameters,
    insertions,
    model_settings,
    select,
    step,
    values_of,
)

NAMES = (*MODEL_SETTINGS, *DATA_SETTINGS)


def test_names_are_those_of_the_config() -> None:
    assert sorted((*NAMES, *LORA_SETTINGS)) == sorted(item.name for item in fields(SearchSpace))
    assert set(default_hyperparameters(Experiment())) == set(NAMES)


def test_only_runs_with_lora_have_a_rank() -> None:
    for experiment in (Experiment(insertions=("lora",)), Experiment(baseline=Baseline("lora"))):
        assert set(default_hyperparameters(experiment)) == {*NAMES, "lora_rank"}
    assert model_settings(Experiment(baseline=Baseline("adapters"))) == MODEL_SETTINGS


@pytest.mark.parametrize(
    ("kinds", "adapters", "expected"),
    [
        (("adapter",), True, ("adapter",)),
        (("adapter",), False, ()),
        (("adapter", "lora"), True, ("adapter", "lora")),
        (("adapter", "lora"), False, ("lora",)),
        (("lora",), True, ("lora",)),
        ((), True, ()),
    ],
)
def test_what_may_be_inserted(kinds: tuple[Insertion, ...], adapters: bool, expected: tuple[str, ...]) -> None:
    assert insertions(Experiment(insertions=kinds, insert_adapters=adapters)) == expected


def test_defaults_are_the_papers() -> None:
    assert default_hyperparameters(Experiment()) == {
        "learning_rate": 0.01, "schedule": "cosine", "warmup_ratio": 0.1, "momentum": 0.9, "nesterov": False,
        "adapter_dim": 32, "crop_area_min": 0.05, "crop_aspect_min": 0.75, "flip": True, "brightness_delta": 0.0,
        "contrast_delta": 0.0, "saturation_delta": 0.0, "hue_delta": 0.0, "image_size": 32,
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_step_moves_one_position_and_stops_at_the_ends(name: str) -> None:
    values = list(values_of(Experiment(), name))
    for index, value in enumerate(values):
        assert step(values, value, up=True) == values[min(index + 1, len(values) - 1)]
        assert step(values, value, up=False) == values[max(index - 1, 0)]


def test_a_value_outside_the_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in list"):
        step((1, 2), 3, up=True)


def test_select_keeps_the_order_of_names() -> None:
    assert list(select(default_hyperparameters(Experiment()), ("flip", "momentum"))) == ["flip", "momentum"]
