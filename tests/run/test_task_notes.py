"""What is said of a race that may memorise a task's few images, and that nothing is said of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from munet.config import Baseline, Experiment, SearchSpace
from munet.config.flags import parse_config, split_overrides
from munet.config.race import race
from munet.run import task_notes
from munet.types import TaskInfo


def experiment(**changes: Any) -> Experiment:
    made = Experiment(tasks=())
    race(made, 81_920)
    return replace(made, **changes)


def infos(*sizes: int) -> list[TaskInfo]:
    return [TaskInfo(f"task{size}", "fake:a", "", ("x", "y"), size, 8, 8) for size in sizes]


WHOLE = SearchSpace(crop_area_min=(1.0,))
ALONE = "--config.search_space.crop_area_min=0.3,0.6 --config.defaults.crop_area_min=0.6"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"crops_above_passes": 0}, "--config.crops_above_passes=150"),
        ({"crops_above_passes": 300}, "--config.crops_above_passes=150"),
        ({"search_space": WHOLE}, ALONE),
    ],
)
def test_a_task_of_few_images_is_named_with_the_settings_that_help(changes: dict[str, Any], advice: str) -> None:
    (note,) = task_notes.notes(experiment(**changes), infos(400, 20_000))
    assert "1 task (task400) of 400 training images" in note
    assert "81,920 are up to 204 passes over them" in note
    assert note.endswith(f"{advice}.")
    _, overrides = split_overrides(["--config.tasks=builtin:digits", *advice.split()])
    assert not list(task_notes.notes(parse_config("base", overrides).experiment, infos(400)))


def test_many_are_counted() -> None:
    (note,) = task_notes.notes(experiment(crops_above_passes=0), infos(400, 420, 440, 460, 480))
    assert "5 tasks (task400, task420, task440, ...) of 400 training images or more" in note


@pytest.mark.parametrize(
    "changes",
    [
        {"crops_above_passes": 150},
        {"images_per_task": 20_480},
        {"search_space": SearchSpace(crop_area_min=(0.3, 0.6))},
        {"baseline": Baseline("tuned")},
        {"auto_tune": False},
        {"stages": ("evolve:8", "train:1")},
        {"stages": ("explore:8x2", "train:1x10"), "images_per_task": 0},
    ],
)
def test_nothing_is_said_of_others(changes: dict[str, Any]) -> None:
    assert not list(task_notes.notes(experiment(**{"crops_above_passes": 0, **changes}), infos(400)))
