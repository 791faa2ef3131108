"""Overrides: names, types, lists, and every problem in one message (munet/config/flags.py)."""

from __future__ import annotations

from typing import Any

import pytest

from munet.config import Config
from munet.config.fields import docs_of, entries, full_name, settings_of, short_names
from munet.config.flags import Override, override, parse_config, split_overrides
from munet.errors import ConfigError, UserError


def value(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = getattr(config, part)
    return config


def set_one(name: str, text: str | None) -> Any:
    return value(override(Config(), [Override(name, text)]), full_name(name))


def problem(name: str, text: str | None) -> str:
    with pytest.raises(ConfigError) as caught:
        override(Config(), [Override(name, text)])
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("experiment.seed", "3", 3),
        ("seed", "3", 3),
        ("scale_factor", "1", 1.0),
        ("scale_factor", "0.3", 0.3),
        ("checkpoint_minutes", "-1", -1.0),
        ("auto_tune", "false", False),
        ("auto_tune", "True", True),
        ("antialias", None, True),
        ("root", "a dir/b=c.npz", "a dir/b=c.npz"),
        ("root", "", ""),
        ("root", "12", "12"),
        ("data_dir", "~/tfds", "~/tfds"),
        ("tasks", "a,b", ("a", "b")),
        ("tasks", "('a','b')", ("a", "b")),
        ("tasks", '["a", "b"]', ("a", "b")),
        ("tasks", "('a',)", ("a",)),
        ("tasks", "a", ("a",)),
        ("tasks", "", ()),
        ("tasks", "()", ()),
        ("tasks", "mnist?split=clean", ("mnist?split=clean",)),
        ("tasks", "folder:x?range=0,4095,tfds:y", ("folder:x?range=0,4095", "tfds:y")),
        ("tasks", "tfds:x?classes=0,4,9,tfds:y", ("tfds:x?classes=0,4,9", "tfds:y")),
        ("tasks", "tfds:x?without=3,cat&name=z,a=tfds:y", ("tfds:x?without=3,cat&name=z", "a=tfds:y")),
        ("tasks", "tfds:x?name=z&classes=0,4,tfds:y?without=1,2", ("tfds:x?name=z&classes=0,4", "tfds:y?without=1,2")),
        ("tasks", "tfds:x?classes=3,tfds:y", ("tfds:x?classes=3", "tfds:y")),
        ("tasks", "tfds:x?train=train[5%:],tfds:y", ("tfds:x?train=train[5%:]", "tfds:y")),
        ("tasks", "tfds:x?train=a[:5%]&validation=b[5%:]", ("tfds:x?train=a[:5%]&validation=b[5%:]",)),
        ("tasks", 'npz:"/a,b.npz"', ('npz:"/a,b.npz"',)),
        ("tasks", "'npz:/a,b.npz',c", ("npz:/a,b.npz", "c")),
        ("tasks", "tfds:x?train=a[1,2],y", ("tfds:x?train=a[1,2]", "y")),
        ("tasks", "True,1", ("True", "1")),
        ("search_space.learning_rate", "0.1,0.2", (0.1, 0.2)),
        ("search_space.learning_rate", "0.1", (0.1,)),
        ("search_space.momentum", "1", (1.0,)),
        ("search_space.image_size", "(16, 32)", (16, 32)),
        ("search_space.nesterov", "false,true", (False, True)),
        ("search_space.nesterov", "(True,)", (True,)),
    ],
)
def test_value_is_assigned_with_its_type(name: str, text: str | None, expected: Any) -> None:
    result = set_one(name, text)
    assert result == expected
    assert type(result) is type(expected)
    if isinstance(expected, tuple):
        assert [type(element) for element in result] == [type(element) for element in expected]


@pytest.mark.parametrize(
    ("name", "text", "given", "wanted"),
    [
        ("seed", "2.5", "'2.5'", "a whole number"),
        ("seed", "x", "'x'", "a whole number"),
        ("seed", "", "''", "a whole number"),
        ("seed", None, "", "needs a value: a whole number"),
        ("scale_factor", "half", "'half'", "a number"),
        ("scale_factor", "nan", "'nan'", "a number"),
        ("auto_tune", "maybe", "'maybe'", "true or false"),
        ("search_space.image_size", "16,32.5", "'16,32.5'", "whole numbers separated by commas"),
        ("search_space.momentum", "0.9,x", "'0.9,x'", "numbers separated by commas"),
        ("search_space.nesterov", "true,2", "'true,2'", "true or false, separated by commas"),
        ("tasks", "a,,b", "'a,,b'", "names separated by commas"),
        ("tasks", "(a", "'(a'", "names separated by commas"),
        ("tasks", "'a,b", '"\'a,b"', "names separated by commas"),
    ],
)
def test_wrong_type_says_what_was_given_and_expected(name: str, text: str | None, given: str, wanted: str) -> None:
    message = problem(name, text)
    assert message.startswith(f"--config.{name}")
    assert wanted in message
    assert given in message


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sed", "'seed'"),
        ("max_seed_parent", "'max_seed_parents'"),
        ("experiment.serch_space.momentum", "'experiment.search_space.momentum'"),
        ("runtime.datadir", "'runtime.data_dir'"),
        ("seed.x", "there is no field 'seed.x'"),
        ("__class__", "there is no field"),
    ],
)
def test_unknown_field_names_the_nearest(name: str, advice: str) -> None:
    assert advice in problem(name, "1")


def test_ambiguous_short_name_lists_the_full_names() -> None:
    message = problem("learning_rate", "1")
    assert "--config.experiment.search_space.learning_rate" in message
    assert "--config.experiment.defaults.learning_rate" in message


@pytest.mark.parametrize("name", ["experiment", "search_space", "experiment.baseline", "runtime"])
def test_a_group_is_no_field(name: str) -> None:
    assert "group of fields" in problem(name, "1")


def test_all_problems_come_together_and_the_last_override_wins() -> None:
    overrides = [Override("sed", "1"), Override("seed", "x"), Override("learning_rate", "1")]
    with pytest.raises(ConfigError) as caught:
        override(Config(), overrides)
    assert len(caught.value.problems) == 3
    assert all(str(item) in str(caught.value) for item in overrides)
    assert override(Config(), [Override("seed", "1"), Override("seed", "2")]).experiment.seed == 2


def test_a_value_that_is_not_allowed_is_told_beside_one_of_the_wrong_type() -> None:
    with pytest.raises(ConfigError) as caught:
        override(Config(), [Override("seed", "one"), Override("scale_factor", "3")])
    assert [problem.partition("=")[0].strip() for problem in caught.value.problems] == [
        "--config.seed",
        "experiment.scale_factor",
    ]


def test_a_misspelt_name_is_not_told_as_what_it_leaves_out_too() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("base", [Override("task", "builtin:digits")])
    assert len(caught.value.problems) == 1, caught.value.problems


def test_every_short_name_means_its_field() -> None:
    assert [full_name(name) for name in short_names()] == list(settings_of())
    assert "seed" in short_names()
    assert "defaults.momentum" in short_names()


def test_every_field_can_be_set_to_its_own_value() -> None:
    for path in settings_of():
        default = value(Config(), path)
        assert set_one(path, str(default)) == default, path


def test_every_field_has_a_type_that_flags_can_parse() -> None:
    for path, setting in settings_of().items():
        assert setting.kind in (bool, int, float, str), path
        assert type(value(Config(), path)) is (tuple if setting.is_tuple else setting.kind), path


def test_overrides_are_taken_out_of_a_command_line() -> None:
    rest, overrides = split_overrides(
        ["evolve", "--config=x", "--config.a=1=2", "--workdir", "d", "--config.b", "-3", "--config.c", "--noconfig.e"]
    )
    assert rest == ["evolve", "--config=x", "--workdir", "d"]
    assert overrides == [Override("a", "1=2"), Override("b", "-3"), Override("c", None), Override("e", "false")]


def test_parsed_config_is_validated() -> None:
    assert parse_config("demo", [Override("scale_factor", "0.3")]).experiment.scale_factor == 0.3
    with pytest.raises(ConfigError, match="scale_factor = 2"):
        parse_config("demo", [Override("scale_factor", "2")])


def test_overrides_leave_the_process_flags_alone() -> None:
    from absl import flags

    before = set(flags.FLAGS)
    override(Config(), [Override("seed", "1"), Override("tasks", "a")])
    assert set(flags.FLAGS) == before


def test_every_field_is_documented_where_it_is_defined() -> None:
    docs = docs_of(Config)
    assert list(docs) == list(entries(Config))
    assert [path for path, doc in docs.items() if not doc or doc.startswith("[")] == []
    assert docs["experiment.tasks"].startswith("task URIs in order")
    assert "peak" in docs["experiment.search_space.learning_rate"]  # its comment stands above the field


def test_problem_of_one_kind_is_a_user_error() -> None:
    assert issubclass(ConfigError, UserError)
