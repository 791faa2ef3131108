"""A config's values are checked, all together, whoever set them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from munet.config import (
    Baseline,
    Config,
    Experiment,
    Fidelity,
    SearchSpace,
    completed,
    differences,
    to_json,
)
from munet.config.checks import validate
from munet.config.evolve import BASELINES
from munet.config.fields import settings_of
from munet.config.files import load_config
from munet.config.flags import parse_config
from munet.config.values import Range
from munet.errors import ConfigError
from munet.training.program.optimizer import SCHEDULES


def valid() -> Config:
    return Config(Experiment(tasks=("builtin:digits",)))


def changed(path: str, value: Any) -> Config:
    config = valid()
    *groups, name = path.split(".")
    owner: Any = config
    for group in groups:
        owner = getattr(owner, group)
    setattr(owner, name, value)
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "experiment.tasks",
            "builtin:digits",
            r"tasks = 'builtin:digits': .* not one string; write \('builtin:digits',",
        ),
        ("experiment.stages", "explore:2,train:1", r"write \('explore:2', 'train:1'\)\."),
        ("experiment.tasks", "folder:a?range=0,4095,tfds:b", r"write \('folder:a\?range=0,4095', 'tfds:b'\)\."),
        ("experiment.tasks", "(a", r"write \('\(a',\)\."),
        ("experiment.tasks", ("builtin:digits", 3), "expected text, got int 3"),
        ("experiment.num_generations", "4", "num_generations = '4': expected a whole number, got str '4'"),
        ("experiment.num_generations", 4.0, "expected a whole number, got float"),
        ("experiment.num_generations", True, "expected a whole number, got bool True"),
        ("experiment.auto_tune", 1, "expected True or False, got int 1"),
        ("experiment.scale_factor", True, "expected a finite number, got bool"),
        ("experiment.insertions", ("adaptor",), r"insertions names 'adaptor'\. Did you mean 'adapter'"),
        ("experiment.insertions", ("lora", "lora"), "names 'lora' more than once"),
        ("experiment.baseline.lora_rank", 0, r"baseline\.lora_rank = 0: expected at least 1"),
        ("experiment.defaults.lora_rank", 3, r"defaults\.lora_rank = 3 is not among"),
        ("runtime.mesh", (2, 2), r"runtime\.mesh = \(2, 2\): expected three numbers of at least 1"),
        ("runtime.mesh", (2, 0, 2), "expected three numbers of at least 1"),
        ("runtime.mesh", (1, 3, 1), r"3 devices cannot share batches of 256 images in evaluation\. Use 2 or 4"),
        ("runtime.mesh", (1, 1024, 1), r"1024 devices cannot share .* Use 256 in the middle"),
        ("runtime.mesh", (1, 1, 3), r"3 devices cannot share the layers of demo/16 evenly\. Use 2 or 4 at the end"),
        ("runtime.device_memory_gb", -1.0, r"device_memory_gb = -1\.0: expected 0"),
        ("experiment.clip_norm", math.inf, "expected a finite number, got inf"),
        ("experiment.defaults.learning_rate", math.nan, "expected a finite number, got nan"),
        ("experiment.search_space.momentum", 0.9, "expected a tuple, each element a finite number; got float"),
        ("experiment.search_space.image_size", (32, 48.0), "expected a whole number, got float 48.0"),
        ("experiment.search_space.momentum", (0.8, 0.9, 0.9), r"\(0.8, 0.9, 0.9\) has 0.9 more than once"),
        ("experiment.search_space.learning_rate", (0.0, 0.01), r"\(0.0, 0.01\): expected each from 0 to 100, not 0"),
        ("experiment.search_space.momentum", (0.9, 1.0), r"\(0.9, 1.0\): expected each from 0 to 1, not 1"),
        ("experiment.baseline.learning_rates", (0.0, 0.1), "expected each from 0 to 100, not 0"),
        ("experiment.normaliser_image_size", 5, "= 5 is no multiple of demo/16's patch size 16: use 16 or 32"),
        ("experiment.normaliser_image_size", 40, "= 40 is no multiple of demo/16's patch size 16: use 32 or 48"),
        ("experiment.quality_metric", "balanced", "'balanced'. Did you mean 'balanced_accuracy'"),
        ("experiment.seed_choice", "fits", r"seed_choice = 'fits'\. Did you mean 'fit'"),
        ("experiment.baseline.adapter_dim", 0, "adapter_dim = 0: expected at least 1"),
        ("experiment.baseline", "full", r"experiment.baseline is a str: expected a Baseline\(...\)"),
        ("runtime.checkpoint_minutes", None, "expected a finite number, got NoneType"),
    ],
)
def test_one_wrong_value_is_one_problem(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        validate(changed(path, value))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(path)


def test_all_problems_are_told_together() -> None:
    config = changed("experiment.num_generations", "4")
    config.experiment.seed = -1
    config.experiment.search_space.flip = (0, 1)  # type: ignore[assignment]  # what a config file may hold
    config.runtime.block_megabytes = 0
    config.runtime.max_bad_images = 1.5
    config.runtime.resident_share = -0.1
    config.runtime.decoding_threads = -1
    with pytest.raises(ConfigError) as caught:
        validate(config)
    names = (
        "experiment.num_generations", "experiment.search_space.flip", "experiment.seed", "runtime.block_megabytes",
        "runtime.max_bad_images", "runtime.resident_share", "runtime.decoding_threads",
    )  # fmt: skip
    assert len(caught.value.problems) == 7
    assert all(any(problem.startswith(name) for problem in caught.value.problems) for name in names)


def test_every_baseline_has_a_name_for_people() -> None:
    assert tuple(BASELINES) == settings_of()["runtime.compare"].choices
    assert ("", *BASELINES) == settings_of()["experiment.baseline.kind"].choices


def test_schedules_are_those_of_the_optimizer() -> None:
    assert settings_of()["experiment.search_space.schedule"].choices == SCHEDULES


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        (Range(0), (0, 3), (-1,), "0 or more"),
        (Range(0, zero="no limit"), (0, 3), (-1,), "0 (no limit) or more"),
        (Range(1), (1, 3), (0,), "at least 1"),
        (Range(0, excluded=0), (0.1,), (0, -1), "above 0"),
        (Range(0, 0.5), (0, 0.5), (0.6,), "0 to 0.5"),
        (Range(0, 1, excluded=1), (0, 0.9), (1, 2), "0 to 1, not 1"),
    ],
)
def test_a_range_says_what_is_in_it(
    limits: Range, inside: tuple[float, ...], outside: tuple[float, ...], words: str
) -> None:
    assert str(limits) == words
    assert all(value in limits for value in inside)
    assert not any(value in limits for value in outside)


def test_the_journal_does_not_tell_whole_floats_and_lists_apart() -> None:
    config = valid()
    config.experiment.scale_factor = 1
    config.experiment.clip_norm = 1
    config.experiment.search_space = SearchSpace(hue_delta=[0, 0.1])  # type: ignore[arg-type]  # as above
    validate(config)
    expected = valid()
    expected.experiment.search_space.hue_delta = (0.0, 0.1)
    assert repr(to_json(config)) == repr(to_json(expected))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("config.experiment.num_generation = 4", "line 4: .*num_generation'.* Did you mean 'num_generations'"),
        ("config.experiment.fidelity.seed_ordr = 4", "Did you mean 'seed_order'"),
        ("Experiment(num_generation=4)", "line 4: .*Did you mean 'num_generations'"),
        ("config.runtim = 4", "Did you mean 'runtime'"),
    ],
)
def test_a_misspelt_field_in_a_config_file_is_refused(tmp_path: Path, line: str, message: str) -> None:
    text = f"from munet.config import *\ndef get_config():\n    config = Config()\n    {line}\n    return config\n"
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(str(tmp_path / "mine.py"))


@pytest.mark.parametrize("make", [lambda: parse_config("characters:real,full"), lambda: parse_config("demo")])
def test_shipped_configs_compare_or_are_compared(make: Callable[[], Config]) -> None:
    config = make()
    assert bool(config.experiment.baseline.kind) != bool(config.runtime.compare)


def test_a_baseline_is_not_compared_with_baselines() -> None:
    config = valid()
    config.experiment.baseline = Baseline("full")
    config.runtime.compare = ("full",)
    with pytest.raises(ConfigError, match=r"runtime.compare = \('full',\) beside .*--config.compare="):
        validate(config)


def test_an_experiment_of_an_older_version_gets_the_defaults_of_new_fields() -> None:
    experiment = to_json(Experiment(seed=7, fidelity=Fidelity(encoder_norm="chance")))
    old = {**experiment, "fidelity": dict(experiment["fidelity"])}
    del old["antialias"], old["seed_choice"], old["fidelity"]["allow_block_growth"]
    assert differences(completed(old), experiment) == []
    assert differences(completed(old), to_json(Experiment(seed=7, antialias=True))) == [
        "antialias: False -> True",
        "fidelity.encoder_norm: 'chance' -> 'forced'",
    ]
