"""Config files, `get_config(variant)` in Python: what they give, for the command that is to run it.

`--config=demo` is one of the package's own, `--config=configs/characters.py:scale_0.3,no_autotune` a variant in a file.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from munet.config.checks import C
from munet.config.config_dicts import from_config_dict
from munet.config.evolve import Config
from munet.config.fields import entries
from munet.config.python_files import FileKind
from munet.errors import ConfigError, UserError
from munet.kinds import KINDS, AnyConfig

_COMMANDS: dict[type[Any], str] = {kind.config: kind.command for kind in KINDS}
CONFIG_FILES = FileKind(
    "config",
    "get_config",
    {
        **{f"munet.config.{kind.config.__name__}": kind.config for kind in KINDS},
        "ml_collections.ConfigDict": ConfigDict,
    },
    classes=tuple({entry.owner for kind in _COMMANDS for entry in entries(kind).values()}),
)


def load_config(spec: str) -> Config:
    """The config of a run in `spec` (`FILE[:VARIANT]`), not yet validated; raises as `load_as`."""
    return load_as(Config, spec)


def load_as(kind: type[C], spec: str) -> C:
    """The config in `spec` for the command that takes configs of this kind, not yet validated.

    Raises:
      UserError: as `FileKind.load`, or it is for another command.
      ConfigError: it has fields that there are not; the message names the nearest.
    """
    config = load_any_config(spec, kind)
    if not isinstance(config, kind):
        given = _COMMANDS[type(config)]
        raise UserError(f"--config={spec} is for {given}, and this is {_COMMANDS[kind]}: `{given} --config={spec}`.")
    return config


def load_any_config(spec: str, preferred: type[Any] = Config) -> AnyConfig:
    """The config in `spec`, of whatever command; of `preferred` if it may be of both. Raises as `load_as`."""
    given = CONFIG_FILES.load(spec)
    if not isinstance(given, ConfigDict):
        config: AnyConfig = given
        return config
    try:
        config = from_config_dict(given, sorted(_COMMANDS, key=lambda kind: kind is not preferred))
    except ConfigError as error:
        raise ConfigError([f"--config={spec}: {problem}" for problem in error.problems]) from error
    except UserError as error:
        raise UserError(f"--config={spec}: {error}") from error
    return config
