"""Python files that hand over one value by a function: config files (`get_config`) and suites (`get_suite`).

They are named as `FILE[:VARIANT]`; the package's own are found by name from anywhere.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from munet.errors import ConfigError, UserError, nearest


@dataclass(frozen=True)
class FileKind:
    """One kind of such files.

    Attributes:
      flag: the option that names one: `config`, `suite`.
      noun: what messages call it.
      function: what a file must define; it takes a variant, or nothing.
      result: the class of what the function gives, or several.
      folder: where the package's own are, below its folder of configs; "" for that folder itself.
      classes: whose misspelt fields get the nearest valid names.
    """

    flag: str
    noun: str
    function: str
    result: type | tuple[type, ...]
    folder: str = ""
    classes: tuple[type, ...] = ()

    def shipped(self) -> dict[str, Path]:
        """The package's own files by name, e.g. `demo`."""
        folders = [folder / self.folder for folder in reversed(package_folders())]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("[a-z]*.py"))}

    def find(self, spec: str) -> tuple[Path, str]:
        """The file and the variant ("" if none) that `FILE[:VARIANT]` means.

        A path that exists is taken as it is; otherwise `demo`, `demo.py` and `configs/demo.py` mean the package's own.

        Raises:
          UserError: no such file; the message names the nearest.
        """
        name, _, variant = spec.partition(":")
        path = Path(name).expanduser()
        if path.is_file():
            return path, variant
        shipped = self.shipped()
        own = path.name.removesuffix(".py")
        if path.parent in (Path(), Path("configs") / self.folder) and own in shipped:
            return shipped[own], variant
        raise UserError(f"--{self.flag}={spec}: there is no {self.noun} {name!r}. {nearest(own, shipped)}")

    def load(self, spec: str) -> Any:
        """Runs the file that `spec` names and returns what its function gives, not yet validated.

        Raises:
          UserError: the file is missing, fails, lacks the function, has no such variant, or gives something else.
          ConfigError: it sets a field that there is not; the message names the nearest.
        """
        path, variant = self.find(spec)
        module = self._run(path, spec)
        where = f"--{self.flag}={spec}"
        function = getattr(module, self.function, None)
        if not callable(function):
            raise UserError(f"{where}: {path} has no function {self.function}(variant).")
        if variant and not inspect.signature(function).parameters:
            raise UserError(f"{where}: {path} has no variants; leave out {':' + variant!r}.")
        try:
            value = function(variant) if variant else function()
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        except Exception as error:
            if unknown := self._unknown_field(error):
                raise ConfigError([f"{where}: {_where(error, path)}. {unknown}"]) from error
            raise UserError(f"{where}: {self.function} failed: {_where(error, path)}") from error
        if not isinstance(value, self.result):
            results = self.result if isinstance(self.result, tuple) else (self.result,)
            expected = " or ".join(f"{result.__module__}.{result.__name__}" for result in results)
            raise UserError(f"{where}: {self.function} gave {type(value).__name__}; expected {expected}.")
        return value

    def default_workdir(self, spec: str, prefix: str = "runs/") -> str:
        """Where results are kept unless the user says otherwise: `runs/characters-scale_0.3`.

        Raises:
          UserError: as `find`.
        """
        path, variant = self.find(spec)
        suffix = re.sub(r"[^\w.]+", "-", variant).strip("-")
        return f"{prefix}{path.stem}-{suffix}" if suffix else f"{prefix}{path.stem}"

    def _run(self, path: Path, spec: str) -> ModuleType:
        name = f"munet_{self.flag}_{path.stem}"
        module_spec = importlib.util.spec_from_file_location(name, path)
        if module_spec is None or module_spec.loader is None:
            raise UserError(f"--{self.flag}={spec}: {path} is no Python file (*.py).")
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module  # dataclasses defined in such a file look their module up
        try:
            module_spec.loader.exec_module(module)
        except Exception as error:
            raise UserError(f"--{self.flag}={spec}: the file failed: {_where(error, path)}") from error
        finally:
            del sys.modules[name]
        return module

    def _unknown_field(self, error: Exception) -> str:
        """The valid names nearest to a field that no class of this kind has, where that is the error; else "".

        Python says it in words only: `'Experiment' object has no attribute 'x'`, `... unexpected keyword argument 'x'`;
        3.13 adds more after them.
        """
        patterns = (r"'(\w+)' object has no attribute '(\w+)'", r"(\w+)\.__init__\(\) got an unexpected .* '(\w+)'")
        found = next((match for pattern in patterns if (match := re.match(pattern, str(error)))), None)
        classes = {cls.__name__: cls for cls in self.classes}
        if found is None or found[1] not in classes:
            return ""
        return nearest(found[2], [item.name for item in dataclasses.fields(classes[found[1]])])


def package_folders() -> list[Path]:
    """Where the package's own configs are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    return [folder for folder in (package.parent / "configs", package / "configs") if folder.is_dir()]


def _where(error: Exception, path: Path) -> str:
    """The error with the line of the file that it came from, which is what its author needs."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    place = f"{path}, line {lines[-1]}: " if lines else f"{path}: "
    return f"{place}{type(error).__name__}: {error}"
