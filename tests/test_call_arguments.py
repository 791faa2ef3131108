"""How the arguments of `munet.evolve` are read: settings, a work directory if none is given, and mistakes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import munet
from munet.call_arguments import config_of, default_workdir
from munet.config import Config, Experiment, Runtime
from munet.errors import ConfigError, DataError, UserError
from tests import tiny_run
from tests.python_calls import IMAGES, arguments, birds


def test_without_a_work_directory_every_choice_has_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = munet.evolve(birds(), **arguments(data))
    assert first.workdir.startswith(f"{tmp_path}/runs/birds-")
    assert munet.evolve(birds(), **arguments(data)).workdir == first.workdir
    short: dict[str, Any] = {"num_task_iterations": 1, "num_generations": 1}
    calls: list[tuple[list[munet.Task | str], dict[str, Any]]] = [
        ([birds()], {**short, "seed": 1}),
        ([birds(255 - IMAGES)], short),
        ([birds(), "builtin:digits"], short),
    ]
    others = [
        default_workdir(config_of(tasks, None, tiny_run.config(data), settings, others=()), tasks)
        for tasks, settings in calls
    ]
    assert len({os.path.relpath(first.workdir), *others}) == 4


def test_settings_by_full_and_short_names_leave_the_given_config_alone(data: Path) -> None:
    config = Config(Experiment(), Runtime())
    settings = {"search_space.image_size": (32,), "num_generations": 3, "runtime.data_dir": "/data"}
    chosen = config_of(["builtin:digits"], "demo", config, settings, others=())
    assert chosen.experiment.search_space.image_size == (32,)
    assert chosen.experiment.num_generations == 3
    assert chosen.runtime.data_dir == "/data"
    assert chosen.experiment.tasks == ("builtin:digits",)
    assert config == Config(Experiment(), Runtime())


@pytest.mark.parametrize(
    ("changes", "error", "messages"),
    [
        ({"num_generation": 1, "workdri": "x"}, ConfigError, ["2 problems", "'num_generations'", "'workdir'"]),
        ({"image_size": 32}, ConfigError, ["'image_size' is ambiguous; say experiment.search_space.image_size or"]),
        ({"search_space": 1}, ConfigError, ["is a group of fields", "e.g. experiment.search_space."]),
        ({"settings": {"seed": 1, "experiment.seed": 2}}, ConfigError, ["'experiment.seed' and 'seed' both mean"]),
        ({"num_generations": "4", "batch_size": 0}, ConfigError, ["2 problems", "got str '4'", "batch_size = 0"]),
        ({"config": "bse"}, UserError, ["Did you mean 'base'?"]),
        ({"config": 3}, UserError, ["config is a int"]),
        ({"tasks": [IMAGES]}, DataError, ["Task 0 is a ndarray", "munet.Task"]),
        ({"tasks": None}, DataError, ["tasks is a NoneType; expected a list", "munet.Task"]),
        ({"tasks": []}, ConfigError, ["experiment.tasks is empty"]),
        ({"tasks": [birds(), birds()]}, ConfigError, ["names 'memory:birds' more than once"]),
        ({"tasks": "builtin:digts"}, DataError, ["Did you mean 'digits'?"]),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(
    changes: dict[str, Any], error: type[UserError], messages: list[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        munet.evolve(**{"tasks": [birds()], "quiet": True, **changes})
    for message in messages:
        assert message in str(raised.value)
    assert not list(tmp_path.iterdir())
