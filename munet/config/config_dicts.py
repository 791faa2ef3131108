"""Configs as `ml_collections.ConfigDict`, for config files as big_vision's users write them: locked and type-safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from munet.config.evolve import Config
from munet.config.fields import assign, field_problems, settings_of
from munet.errors import ConfigError, UserError

if TYPE_CHECKING:  # takes 0.1 s to import, which nobody waits for who uses the classes
    from ml_collections import ConfigDict


def default(kind: type[Any] = Config) -> ConfigDict:
    """Every field with its default, for a config file to change and to return from `get_config`.

    Args:
      kind: `Config` for a run, `PretrainConfig` for `munet pretrain`.

    Returns:
      A `ConfigDict` that refuses fields that there are not, and values of other types.
    """
    from ml_collections import ConfigDict

    return ConfigDict(dataclasses.asdict(kind())).lock()


def from_config_dict(given: ConfigDict, kinds: Sequence[type[Any]] = (Config,)) -> Any:
    """The config that a `ConfigDict` means, not yet validated; fields that it lacks have their defaults.

    Args:
      given: with groups as in the classes; fields may also stand outside of them, by their short names.
      kinds: of which class the config may be; it becomes the one that knows most of the names, the first of several.

    Raises:
      UserError: a required value is missing.
      ConfigError: it has fields that there are not; then wrong types are told, too.
    """
    from ml_collections.config_dict import RequiredValueError

    try:
        values = _flat(given.to_dict())
    except RequiredValueError as error:
        raise UserError(f"values that the ConfigDict requires are missing: {', '.join(_missing(given))}.") from error
    except TypeError as error:
        raise UserError(f"a ConfigDict of settings has texts as keys: {error}.") from error
    names = {path.rpartition(".")[2] for path in values}
    known = {kind: names & {setting.name for setting in settings_of(kind).values()} for kind in kinds}
    config = max(kinds, key=lambda kind: len(known[kind]))()
    try:
        assign(config, values)
    except ConfigError as error:
        mistyped, others = field_problems(config)
        raise ConfigError([*error.problems, *mistyped.values(), *others]) from error
    return config


def _missing(group: ConfigDict, prefix: str = "") -> Iterator[str]:
    """Names of the values that are required and not given."""
    from ml_collections import ConfigDict
    from ml_collections.config_dict import FieldReference, RequiredValueError

    for name, value in group.items(preserve_field_references=True):
        if isinstance(value, ConfigDict):
            yield from _missing(value, f"{prefix}{name}.")
        elif isinstance(value, FieldReference):
            try:
                value.get()
            except RequiredValueError:
                yield f"{prefix}{name}"


def _flat(group: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their full names."""
    flat: dict[str, Any] = {}
    for name, value in group.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
