"""Config files in the manner of big_vision: `get_config` gives a `ConfigDict`, which is refused in the usual words."""

from __future__ import annotations

from pathlib import Path

import pytest
from ml_collections import ConfigDict

import munet
from munet.config import Config, Experiment, PretrainConfig, Recipe, apply, default
from munet.config.config_dicts import from_config_dict
from munet.config.files import load_any_config, load_as, load_config
from munet.config.flags import Override, parse_any_config, parse_config
from munet.errors import ConfigError, UserError


def write(folder: Path, *lines: str, result: str = "config") -> str:
    body = "".join(f"    {line}\n" for line in lines)
    path = folder / "mine.py"
    path.write_text(
        "from ml_collections import ConfigDict, config_dict\nfrom munet.config import *\n\n"
        f"def get_config(variant='munet'):\n    config = default()\n{body}    return {result}\n"
    )
    return str(path)


@pytest.mark.parametrize("kind", [Config, PretrainConfig])
def test_the_default_has_every_field_and_is_locked(kind: type) -> None:
    config = default(kind)
    assert config.is_locked
    assert config.is_type_safe
    assert from_config_dict(config, (Config, PretrainConfig)) == kind()


def test_what_is_changed_in_a_config_dict_is_changed_in_the_run(tmp_path: Path) -> None:
    spec = write(
        tmp_path,
        "config.experiment.tasks = ['builtin:digits']",
        "config.experiment.scale_factor = 1",
        "config.experiment.baseline = {'kind': 'full'}",
        "config.experiment.search_space.image_size = (16, 32)",
    )
    config = parse_config(spec, [Override("seed", "7")])
    assert isinstance(config, Config)
    expected = Experiment(tasks=("builtin:digits",), seed=7)
    expected.baseline.kind = "full"
    expected.search_space.image_size = (16, 32)
    assert config.experiment == expected
    assert type(config.experiment.scale_factor) is float


def test_fields_that_a_config_dict_lacks_have_their_defaults(tmp_path: Path) -> None:
    spec = write(tmp_path, result="ConfigDict({'experiment': {'seed': 3}, 'tasks': ('a',), 'runtime': {}})")
    assert load_config(spec) == Config(Experiment(seed=3, tasks=("a",)))


def test_references_are_resolved(tmp_path: Path) -> None:
    lines = ("config = ConfigDict({'seed': 4})", "config.num_generations = config.get_ref('seed') * 2")
    assert load_config(write(tmp_path, *lines)).experiment.num_generations == 8


def test_variants_change_a_config_dict_too(tmp_path: Path) -> None:
    spec = write(tmp_path, result="apply(config, variant, {})")
    names = "scale_0.3,no_autotune,insert_lora,top_layers_2"
    assert load_config(f"{spec}:{names}") == apply(Config(), names, {})
    assert (
        load_config(f"{spec}:adapters_8,lora_4").experiment.baseline
        == apply(Config(), "lora_4", {}).experiment.baseline
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "config.experiment.num_generation = 4",
            "line 6: there is no field 'num_generation'. Did you mean 'num_generat",
        ),
        (
            "config.experiment.num_generation",
            "line 6: there is no field 'num_generation'. Did you mean 'num_generations'",
        ),
        ("config['experimen']", "line 6: there is no field 'experimen'. Did you mean 'experiment'?"),
        ("config.update({'runtime': {'notfy': ''}})", "line 6: there is no field 'notfy'. Did you mean 'notify'?"),
        ("del config.experiment.seed", "line 6: AttributeError: 'This ConfigDict is locked"),
        ("config['experiment.sed'] = 1", "line 6: ValueError: ConfigDict does not accept dots"),
        ("{}['sed']", "line 6: KeyError: 'sed'"),
        ("config.experiment.seed = 'x'", "line 6: seed = x: expected a whole number, got str x."),
        ("config.experiment.tasks = 'a'", "line 6: tasks = a: expected a tuple, got str a."),
        ("config.experiment.auto_tune = 1", "line 6: auto_tune = 1: expected True or False, got int 1."),
        ("config.experiment.baseline = 'full'", "line 6: baseline = full: expected a group of fields, got str full."),
    ],
)
def test_what_a_locked_config_dict_refuses_is_said_in_our_words(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, line))
    assert message in str(caught.value)
    assert "Other fields present" not in str(caught.value)


def test_what_it_does_not_refuse_is_told_all_together(tmp_path: Path) -> None:
    spec = write(
        tmp_path,
        "config.unlock()",
        "config.experiment.sed = 4",
        "config.experiment.search_space.momentm = (0.9,)",
        "config.experiment.seed = None",
        "config.experiment.search_space.image_size = (16, 'x')",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(spec)
    assert len(caught.value.problems) == 4
    for message in (
        "there is no field 'experiment.sed'. Did you mean 'experiment.seed'",
        "there is no field 'experiment.search_space.momentm'. Did you mean 'experiment.search_space.momentum'",
        "experiment.seed = None: expected a whole number, got NoneType None.",
        "experiment.search_space.image_size = (16, 'x'): expected a whole number, got str 'x'.",
    ):
        assert message in str(caught.value)


def test_values_are_checked_like_those_of_the_classes(tmp_path: Path) -> None:
    spec = write(
        tmp_path, "config.experiment.seed = -1", "config.experiment.seed = None", "config.runtime.max_hours = -1"
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(spec, [Override("tasks", "builtin:digits")])
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "experiment.seed = None", "runtime.max_hours = -1.0",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="has a problem"):  # what the command line sets right is no problem
        parse_config(spec, [Override("tasks", "builtin:digits"), Override("seed", "1")])


@pytest.mark.parametrize("result", ["default(PretrainConfig)", "ConfigDict({'experiment': {'num_steps': 3}})"])
def test_a_config_dict_is_for_the_command_whose_fields_it_has(tmp_path: Path, result: str) -> None:
    spec = write(tmp_path, result=result)
    assert isinstance(load_any_config(spec), PretrainConfig)
    with pytest.raises(
        UserError, match=f"is for munet pretrain, and this is munet evolve: `munet pretrain --config={spec}"
    ):
        load_config(spec)


def test_one_that_fits_two_commands_is_for_the_one_that_asks(tmp_path: Path) -> None:
    spec = write(tmp_path, result="ConfigDict({'experiment': {'tasks': ('a',), 'seed': 3}})")
    assert load_as(PretrainConfig, spec) == PretrainConfig(Recipe(tasks=("a",), seed=3))
    assert load_any_config(spec) == Config(Experiment(tasks=("a",), seed=3))


def test_a_template_may_be_a_config_dict(tmp_path: Path) -> None:
    assert parse_any_config(write(tmp_path)) == Config()


def test_required_values_that_are_missing_are_named(tmp_path: Path) -> None:
    required = "config_dict.required_placeholder"
    result = f"ConfigDict({{'seed': {required}(int), 'runtime': {{'workdir': {required}(str), 'notify': 'a'}}}})"
    with pytest.raises(UserError, match=r"the ConfigDict requires are missing: runtime\.workdir, seed\."):
        load_config(write(tmp_path, result=result))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("ConfigDict({'runtime': 3})", "'runtime' is a group of fields; set one of them, e.g. runtime.data_dir."),
        ("ConfigDict({3: 4})", "there is no field '3'."),
        ("ConfigDict({3: 4, 'seed': 1})", "texts as keys"),
    ],
)
def test_what_is_no_setting_is_said_so(tmp_path: Path, result: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, result=result))
    assert message in str(caught.value)


def test_a_config_dict_stays_what_it_was() -> None:
    given = ConfigDict({"experiment": {"tasks": ["a"]}})
    from_config_dict(given)
    assert given.to_dict() == {"experiment": {"tasks": ["a"]}}


def test_python_takes_a_config_dict_and_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigError, match=r"there is no field 'experiment\.sed'\. Did you mean 'experiment\.seed'"):
        munet.evolve("builtin:digits", config=ConfigDict({"experiment": {"sed": 1}}))
    config = default()
    config.experiment.num_blocks = 0
    with pytest.raises(ConfigError, match=r"experiment\.num_blocks = 0: expected at least 1\."):
        munet.evolve("builtin:digits", config=config)
    with pytest.raises(
        UserError, match=r"config is a int; expected a munet\.config\.Config, a ConfigDict or e\.g\. 'char"
    ):
        munet.evolve("builtin:digits", config=3)  # type: ignore[arg-type]  # what a user may give
