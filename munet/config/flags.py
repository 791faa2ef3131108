"""The config on the command line: `--config=FILE[:VARIANT]` and `--config.name=value`, all problems in one error.

absl parses each value once, with the parsers that `ml_collections.config_flags` has for the type of the field. Added
here: short names (`--config.seed=1`), and lists without quotes (`--config.tasks=builtin:digits,tfds:mnist`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags

from munet.config.checks import C, validate
from munet.config.evolve import Config
from munet.config.fields import field_problems, full_name, set_value, settings_of
from munet.config.files import load_any_config, load_as
from munet.config.lists import split
from munet.config.values import Setting
from munet.errors import ConfigError
from munet.kinds import KINDS, AnyConfig

_PARSERS: dict[type, flags.ArgumentParser[Any]] = {
    bool: flags.BooleanParser(),
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
}


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
    return validate(override(load_as(kind, spec), overrides))


def parse_of(command: str, kind: type[Any], spec: str, overrides: Sequence[Override] = ()) -> Any:
    """As `parse_as`, for a command that takes configs of several kinds; `kind` is what messages name."""
    config: Any = load_any_config(spec, kind)
    if not any(type(config) is one.config and one.command == command for one in KINDS):
        config = load_as(kind, spec)  # says for which command it is
    return validate(override(config, overrides))


def parse_any_config(spec: str, overrides: Sequence[Override] = ()) -> AnyConfig:
    """`parse_as` for whatever command the config is; a template of a run (`base`) may be without tasks."""
    config = override(load_any_config(spec), overrides)
    is_template = isinstance(config, Config) and not config.experiment.tasks
    return validate(config, unasked=("experiment.tasks",) if is_template else ())


def override(config: C, overrides: Sequence[Override]) -> C:
    """Assigns the overrides to `config`, in place.

    Raises:
      ConfigError: unknown or ambiguous names and values of the wrong type; all of them, and with them whatever is no
        allowed value. Whether fields fit together is not asked then: what the mistaken ones would be is not known.
    """
    problems = []
    settings = settings_of(type(config))
    for item in overrides:
        try:
            path = full_name(item.name, type(config))
            set_value(config, path, _parsed(settings[path], item.value))
        except ValueError as error:
            problems.append(f"{item}: {error}")
    if problems:
        mistyped, others = field_problems(config)
        raise ConfigError([*problems, *mistyped.values(), *others])
    return config


def _parsed(setting: Setting, text: str | None) -> Any:
    """The value that a text means for a setting; None means true.

    Raises:
      ValueError: the text does not fit the setting's type.
    """
    if text is None:
        if setting.kind is not bool or setting.is_tuple:
            raise ValueError(f"{setting.path} needs a value: {setting.as_text}.")
        return True
    try:
        values = [_element(setting.kind, part) for part in (split(text) if setting.is_tuple else [text])]
        return setting.typed(values if setting.is_tuple else values[0])
    except ValueError as error:
        raise ValueError(f"{setting.path} takes {setting.as_text}; got {text!r}.") from error


def _element(kind: type, text: str) -> Any:
    return _PARSERS[kind].parse(text.strip()) if kind in _PARSERS else text
