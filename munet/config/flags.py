"""The config on the command line: `--config=FILE[:VARIANT]` and `--config.name=value`, all problems in one error.

`ml_collections.config_flags` parses and assigns. Added here: short names (`--config.seed=1`), lists without quotes
(`--config.tasks=builtin:digits,tfds:mnist`) checked by element type, and answers that name the nearest valid field.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from munet.config import Config, checks, field_paths
from munet.config import pretrain as pretraining
from munet.config.files import AnyConfig, C, load_any_config, load_as
from munet.errors import ConfigError, nearest

_EXPECTED = {
    bool: ("true or false", "true or false, separated by commas"),
    int: ("a whole number", "whole numbers separated by commas, such as 16,32"),
    float: ("a number", "numbers separated by commas, such as 0.1,0.2"),
    str: ("text", "names separated by commas"),
}
_OPEN, _CLOSE = "([", ")]"


@dataclass(frozen=True)
class Override:
    """One `--config.name=value`; `value` is None for a bare `--config.name`, which means true."""

    name: str
    value: str | None

    def __str__(self) -> str:
        return f"--config.{self.name}" + ("" if self.value is None else f"={self.value}")


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[Override]]:
    """Takes `--config.name=value`, `--config.name value` and `--noconfig.name` out of a command line.

    Returns:
      The other arguments, and the overrides; both in order.
    """
    rest: list[str] = []
    overrides: list[Override] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument.startswith("--noconfig."):
            overrides.append(Override(argument.removeprefix("--noconfig."), "false"))
        elif argument.startswith("--config."):
            name, equals, value = argument.removeprefix("--config.").partition("=")
            if not equals and queue and not queue[0].startswith("--"):
                equals, value = "=", queue.pop(0)
            overrides.append(Override(name, value if equals else None))
        else:
            rest.append(argument)
    return rest, overrides


def parse_config(spec: str, overrides: Sequence[Override] = ()) -> Config:
    """The validated config of a run; raises as `parse_as`."""
    return parse_as(Config, spec, overrides)


def parse_as(kind: type[C], spec: str, overrides: Sequence[Override] = ()) -> C:
    """The validated config of `FILE[:VARIANT]` with the overrides applied, the last one winning.

    Args:
      kind: whose config is wanted: a run's, or `PretrainConfig`.
      spec: which file, and which of its variants.
      overrides: from the command line.

    Raises:
      UserError: the config file cannot be used, or is for another command.
      ConfigError: unknown or ambiguous names, wrong types, wrong values; all that were found.
    """
    return _validated(override(load_as(kind, spec), overrides))


def parse_any_config(spec: str, overrides: Sequence[Override] = ()) -> AnyConfig:
    """`parse_as` for whatever command the config is; a template of a run (`base`) may be without tasks."""
    config = override(load_any_config(spec), overrides)
    if not isinstance(config, Config) or config.experiment.tasks:
        return _validated(config)
    config.experiment.tasks = ("builtin:digits",)
    _validated(config)
    config.experiment.tasks = ()
    return config


def _validated(config: C) -> C:
    if isinstance(config, Config):
        checks.validate(config)
    else:
        pretraining.validate(config)
    return config


def override(config: C, overrides: Sequence[Override]) -> C:
    """Assigns the overrides to `config`, in place.

    Raises:
      ConfigError: unknown or ambiguous names and values of the wrong type; all of them.
    """
    problems = []
    for item in overrides:
        try:
            path = full_name(item.name, config)
            _assign(config, path, _value(item, _field_type(type(config), path), path))
        except ValueError as error:
            problems.append(f"{item}: {error}")
    if problems:
        raise ConfigError(problems)
    return config


def assign(config: Config, values: Mapping[str, Any], others: Sequence[str] = ()) -> Config:
    """Assigns Python values by full or short name, in place; of what type and size they are, `validate` checks.

    Args:
      config: the config.
      values: e.g. `{"num_generations": 4, "search_space.image_size": (32,)}`.
      others: names that are no fields but would have been understood, for the advice on a misspelt one.

    Raises:
      ConfigError: unknown or ambiguous names, and fields named twice; all of them.
    """
    problems: list[str] = []
    named: dict[str, str] = {}
    for name, value in values.items():
        try:
            path = full_name(name, prefix="", others=others)
        except ValueError as error:
            problems.append(str(error))
            continue
        if path in named:
            problems.append(f"{name!r} and {named[path]!r} both mean {path}: give one of them.")
        named[path] = name
        *groups, field = path.split(".")
        holder: Any = config
        for group in groups:
            holder = getattr(holder, group)
        setattr(holder, field, value)
    if problems:
        raise ConfigError(problems)
    return config


def full_name(name: str, config: AnyConfig | None = None, prefix: str = "--config.", others: Sequence[str] = ()) -> str:
    """The field that a full or a short name means: `seed` -> `experiment.seed`.

    Args:
      name: of a field.
      config: in which fields are looked for; None: a run's.
      prefix: what stands before a name where the user wrote it; for the advice.
      others: as for `assign`.

    Raises:
      ValueError: no field or several are called so; the message lists the valid names.
    """
    paths = field_paths(config)
    if name in paths:
        return name
    found = [path for path in paths if path.endswith("." + name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name!r} is ambiguous; say " + " or ".join(f"{prefix}{path}" for path in found) + ".")
    inside = [path for path in paths if f".{path}".rpartition(".")[0].endswith(f".{name}")]
    if inside:
        raise ValueError(f"{name!r} is a group of fields; set one of them, e.g. {prefix}{inside[0]}.")
    advice = nearest(name, paths if "." in name else [*short_names(config), *others])
    raise ValueError(f"there is no field {name!r}. {advice} `munet config --config=...` lists them all.")


def short_names(config: AnyConfig | None = None) -> list[str]:
    """For every field the shortest name that means it, in order of definition."""
    paths = list(field_paths(config))
    names = []
    for path in paths:
        parts = path.split(".")
        suffixes = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        names.append(next(name for name in suffixes if _is_unique(name, paths)))
    return names


def _is_unique(name: str, paths: Sequence[str]) -> bool:
    return name in paths or sum(path.endswith("." + name) for path in paths) == 1


def _field_type(config: type[Any], path: str) -> Any:
    """The annotation of a field, e.g. `tuple[float, ...]`."""
    owner: Any = config
    for part in path.split("."):
        owner = typing.get_type_hints(owner)[part]
    return owner


def _value(item: Override, declared: Any, path: str) -> str:
    """The value as text that config_flags reads; checks what config_flags does not.

    Raises:
      ValueError: the value does not fit the field's type.
    """
    is_list = typing.get_origin(declared) is tuple
    kind: type = typing.get_args(declared)[0] if is_list else declared
    if item.value is None and declared is not bool:
        raise ValueError(f"{path} needs a value: {_EXPECTED[kind][is_list]}.")
    text = "true" if item.value is None else item.value
    try:
        # A list goes on as a Python literal: config_flags takes `a,b` for one string.
        return repr(tuple(_parse(kind, part) for part in _split(text))) if is_list else str(_parse(kind, text))
    except ValueError as error:
        raise ValueError(f"{path} takes {_EXPECTED[kind][is_list]}; got {text!r}.") from error


def _parse(kind: type, text: str) -> bool | int | float | str:
    """`text` as a `kind`, by absl's parsers, which are those of config_flags."""
    if kind is str:
        return text
    parsers = {bool: flags.BooleanParser, int: flags.IntegerParser, float: flags.FloatParser}
    value: bool | int | float = parsers[kind]().parse(text.strip())
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _split(text: str) -> list[str]:
    """Splits at commas outside of quotes and brackets; an outer pair of brackets and quotes around parts are optional.

    `tfds:x?train=train[5%:],tfds:y`, `('a', "b,c")` and `[0.1, 0.2]` all give two parts.
    """
    text = text.strip()
    if text and text[0] in _OPEN and text[-1] == _CLOSE[_OPEN.index(text[0])]:
        text = text[1:-1]
    parts, depth, quote = [""], 0, ""
    for char in text:
        if char == "," and not quote and depth == 0:
            parts.append("")
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char in _OPEN) - (char in _CLOSE)
        parts[-1] += char
    if depth or quote:
        raise ValueError("a bracket or a quote is not closed")
    parts = [part.strip() for part in parts]
    if not parts[-1]:
        parts.pop()  # "", and a trailing comma as in ("a",)
    if "" in parts:
        raise ValueError("an empty element")
    return [part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "'\"" else part for part in parts]


def _assign(config: AnyConfig, path: str, text: str) -> None:
    """Has config_flags parse `text` for the field `path`, and assigns the result.

    It parses over a `ConfigDict` with the field's value: on the dataclass itself it would read the annotations, which
    `from __future__ import annotations` leaves as text. Its own flag values keep the process' flags out of it.
    """
    *groups, name = path.split(".")
    holder: Any = config
    for group in groups:
        holder = getattr(holder, group)
    argument = f"--config.{name}={text}"
    values = flags.FlagValues()  # type: ignore[no-untyped-call]  # absl leaves its __init__ without annotations
    one_field = ConfigDict({name: getattr(holder, name)})
    config_flags.DEFINE_config_dict("config", one_field, flag_values=values, sys_argv=[argument])
    values(["munet", argument])
    setattr(holder, name, config_flags.get_override_values(values["config"])[name])
