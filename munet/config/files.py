"""Finds and runs config files: `--config=demo`, `--config=configs/characters.py:scale_0.3,no_autotune`.

A config file is Python with `get_config(variant) -> Config`, or `-> PretrainConfig` for `munet pretrain`. The package's
own are found by name from anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from munet.config import Baseline, Config, Defaults, Experiment, Fidelity, Runtime, SearchSpace
from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe
from munet.config.python_files import FileKind
from munet.errors import UserError

AnyConfig = Config | PretrainConfig
C = TypeVar("C", bound=Config | PretrainConfig)

CLASSES = (Config, Experiment, Runtime, SearchSpace, Defaults, Fidelity, Baseline)
_PRETRAINING = (PretrainConfig, Recipe, PretrainRuntime)
_KIND = FileKind("config", "config file", "get_config", (Config, PretrainConfig), classes=(*CLASSES, *_PRETRAINING))
_COMMANDS: dict[type[Any], str] = {Config: "munet evolve", PretrainConfig: "munet pretrain"}


def shipped_configs() -> dict[str, Path]:
    """The package's own config files by name, e.g. `demo`."""
    return _KIND.shipped()


def find_config(spec: str) -> tuple[Path, str]:
    """The file and the variant ("" if none) that `FILE[:VARIANT]` means.

    A path that exists is taken as it is; otherwise `demo`, `demo.py` and `configs/demo.py` mean the package's own.

    Raises:
      UserError: no such file; the message names the nearest.
    """
    return _KIND.find(spec)


def load_config(spec: str) -> Config:
    """The config of a run in `spec` (`FILE[:VARIANT]`), not yet validated; raises as `load_as`."""
    return load_as(Config, spec)


def load_as(kind: type[C], spec: str) -> C:
    """The config in `spec` for the command that takes configs of this kind, not yet validated.

    Raises:
      UserError: as `load_any_config`, or it is for another command.
      ConfigError: as `load_any_config`.
    """
    config = load_any_config(spec)
    if not isinstance(config, kind):
        raise UserError(
            f"--config={spec} is for {_COMMANDS[type(config)]}, and this is {_COMMANDS[kind]}: "
            f"`{_COMMANDS[type(config)]} --config={spec}`."
        )
    return config


def load_any_config(spec: str) -> AnyConfig:
    """Runs the config file that `spec` (`FILE[:VARIANT]`) names and returns its config, not yet validated.

    Raises:
      UserError: the file is missing, fails, has no `get_config`, has no such variant, or returns something else.
      ConfigError: it sets a field that there is not; the message names the nearest.
    """
    config: AnyConfig = _KIND.load(spec)
    return config


def default_workdir(spec: str) -> str:
    """Where a run is kept unless the user says otherwise: `runs/characters-scale_0.3`.

    Raises:
      UserError: as `find_config`.
    """
    return _KIND.default_workdir(spec)
