"""Finds and runs config files: `--config=demo`, `--config=configs/characters.py:scale_0.3,no_autotune`.

A config file is Python with `get_config(variant) -> Config`. The package's own are found by name from anywhere.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from munet.config import Baseline, Config, Defaults, Experiment, Fidelity, Runtime, SearchSpace
from munet.errors import ConfigError, UserError, nearest


def config_folders() -> list[Path]:
    """Where the package's own configs are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent
    return [folder for folder in (package.parent / "configs", package / "configs") if folder.is_dir()]


def shipped_configs() -> dict[str, Path]:
    """The package's own config files by name, e.g. `demo`."""
    return {path.stem: path for folder in reversed(config_folders()) for path in sorted(folder.glob("[a-z]*.py"))}


def find_config(spec: str) -> tuple[Path, str]:
    """The file and the variant ("" if none) that `FILE[:VARIANT]` means.

    A path that exists is taken as it is; otherwise `demo`, `demo.py` and `configs/demo.py` mean the package's own.

    Raises:
      UserError: no such file; the message names the nearest.
    """
    name, _, variant = spec.partition(":")
    path = Path(name).expanduser()
    if path.is_file():
        return path, variant
    shipped = shipped_configs()
    own = path.name.removesuffix(".py")
    if path.parent in (Path(), Path("configs")) and own in shipped:
        return shipped[own], variant
    raise UserError(f"--config={spec}: there is no config file {name!r}. {nearest(own, shipped)}")


def load_config(spec: str) -> Config:
    """Runs the config file that `spec` (`FILE[:VARIANT]`) names and returns its config, not yet validated.

    Raises:
      UserError: the file is missing, fails, has no `get_config`, has no such variant, or returns something else.
      ConfigError: it sets a field that there is not; the message names the nearest.
    """
    path, variant = find_config(spec)
    module = _run_file(path, spec)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise UserError(f"--config={spec}: {path} has no function get_config(variant).")
    if variant and not inspect.signature(get_config).parameters:
        raise UserError(f"--config={spec}: {path} has no variants; leave out {':' + variant!r}.")
    try:
        config = get_config(variant) if variant else get_config()
    except UserError as error:
        raise UserError(f"--config={spec}: {error}") from error
    except Exception as error:
        if unknown := _unknown_field(error):
            raise ConfigError([f"--config={spec}: {_where(error, path)}. {unknown}"]) from error
        raise UserError(f"--config={spec}: get_config failed: {_where(error, path)}") from error
    if not isinstance(config, Config):
        raise UserError(f"--config={spec}: get_config gave {type(config).__name__}; expected munet.config.Config.")
    return config


def default_workdir(spec: str) -> str:
    """Where a run is kept unless the user says otherwise: `runs/characters-scale_0.3`.

    Raises:
      UserError: as `find_config`.
    """
    path, variant = find_config(spec)
    suffix = re.sub(r"[^\w.]+", "-", variant).strip("-")
    return f"runs/{path.stem}-{suffix}" if suffix else f"runs/{path.stem}"


def _run_file(path: Path, spec: str) -> ModuleType:
    name = f"munet_config_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise UserError(f"--config={spec}: {path} is no Python file (*.py).")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses defined in a config file look their module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"--config={spec}: the file failed: {_where(error, path)}") from error
    finally:
        del sys.modules[name]
    return module


def _unknown_field(error: Exception) -> str:
    """The valid names nearest to a field that no config class has, where that is the error; else "".

    Python says it in words only: `'Experiment' object has no attribute 'x'`, `... unexpected keyword argument 'x'`.
    """
    patterns = (r"'(\w+)' object has no attribute '(\w+)'", r"(\w+)\.__init__\(\) got an unexpected .* '(\w+)'")
    found = next((match for pattern in patterns if (match := re.fullmatch(pattern, str(error)))), None)
    classes = {cls.__name__: cls for cls in (Config, Experiment, Runtime, SearchSpace, Defaults, Fidelity, Baseline)}
    if found is None or found[1] not in classes:
        return ""
    return nearest(found[2], [item.name for item in dataclasses.fields(classes[found[1]])])


def _where(error: Exception, path: Path) -> str:
    """The error with the line of the config file that it came from, which is what its author needs."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    place = f"{path}, line {lines[-1]}: " if lines else f"{path}: "
    return f"{place}{type(error).__name__}: {error}"
