"""Finds and runs config files: `--config=demo`, `--config=configs/characters.py:scale_0.3,no_autotune`.

A config file is Python with `get_config(variant) -> Config`. The package's own are found by name from anywhere.
"""

from __future__ import annotations

from pathlib import Path

from munet.config import Baseline, Config, Defaults, Experiment, Fidelity, Runtime, SearchSpace
from munet.python_files import FileKind

CLASSES = (Config, Experiment, Runtime, SearchSpace, Defaults, Fidelity, Baseline)
_KIND = FileKind("config", "config file", "get_config", Config, classes=CLASSES)


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
    """Runs the config file that `spec` (`FILE[:VARIANT]`) names and returns its config, not yet validated.

    Raises:
      UserError: the file is missing, fails, has no `get_config`, has no such variant, or returns something else.
      ConfigError: it sets a field that there is not; the message names the nearest.
    """
    config: Config = _KIND.load(spec)
    return config


def default_workdir(spec: str) -> str:
    """Where a run is kept unless the user says otherwise: `runs/characters-scale_0.3`.

    Raises:
      UserError: as `find_config`.
    """
    return _KIND.default_workdir(spec)
