"""Settings of pre-training: every problem in one message, before any data are opened."""

from __future__ import annotations

from typing import Any

import pytest

from munet.config.checks import validate
from munet.config.fields import settings_of
from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe, without_foreign_text
from munet.errors import ConfigError


def recipe(**changes: Any) -> PretrainConfig:
    return PretrainConfig(Recipe(**{"tasks": ("builtin:digits",), "num_epochs": 1.0, **changes}))


def test_a_sound_recipe_passes() -> None:
    assert validate(recipe(learning_rate=1)).experiment.learning_rate == 1.0  # a whole number becomes a float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ()}, "experiment.tasks is empty"),
        ({"tasks": ("builtin:digits", "builtin:digits")}, "more than once"),
        ({"num_epochs": 0.0}, "give the length of training in one of the two"),
        ({"num_steps": 3}, "give the length of training in one of the two"),
        ({"num_epochs": -1.0}, "experiment.num_epochs = -1.0: expected 0 or more."),
        ({"variant": "Ti/17"}, "Did you mean 'Ti/16'"),
        ({"num_blocks": 13}, "Ti/16 has 12 blocks"),
        ({"image_size": 40}, "use 32 or 48"),
        ({"image_size": 0}, "use 16 or 32"),
        ({"learning_rate": 0.0}, "experiment.learning_rate = 0.0: expected 0 to 100, not 0."),
        ({"label_smoothing": 1.0}, "experiment.label_smoothing = 1.0: expected 0 to 1, not 1."),
        ({"hue_delta": 0.6}, "experiment.hue_delta = 0.6: expected 0 to 0.5."),
        ({"pad_pixels": -1}, "experiment.pad_pixels = -1: expected 0 or more."),
        ({"flip": 1}, "experiment.flip = 1: expected True or False"),
    ],
)
def test_problems_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(recipe(**changes))
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_problems_come_together() -> None:
    config = recipe(tasks=(), image_size=20, clip_norm=0.0, seed=-1)
    config.runtime = PretrainRuntime(num_devices=-1, validate_every=-1, max_bad_images=1.5)
    with pytest.raises(ConfigError) as caught:
        validate(config)
    assert len(caught.value.problems) == 7


def test_every_number_has_a_range() -> None:
    numbers = [setting for setting in settings_of(PretrainConfig).values() if setting.kind in (int, float)]
    assert len(numbers) > 20
    free = {setting.path for setting in numbers if setting.limits is None}
    assert free == {
        "experiment.image_size",
        "runtime.checkpoint_minutes",
    }  # a rule of its own; any number has a meaning


@pytest.mark.parametrize(
    ("tasks", "text", "expected"),
    [
        (("a",), "of the recipe", "of the recipe"),
        (("b",), "of the recipe", ""),  # it speaks of other tasks
        (("b",), "my own", "my own"),
    ],
)
def test_a_cards_text_goes_with_its_tasks(tasks: tuple[str, ...], text: str, expected: str) -> None:
    recipe = PretrainConfig(Recipe(tasks=("a",)), PretrainRuntime(card_text="of the recipe"))
    config = PretrainConfig(Recipe(tasks=tasks), PretrainRuntime(card_text=text))
    without_foreign_text(config, recipe)
    assert config.runtime.card_text == expected
