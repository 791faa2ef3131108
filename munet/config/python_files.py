"""Python files that hand over one value by a function: config files (`get_config`) and suites (`get_suite`).

They are named as `FILE[:VARIANT]`, e.g. `configs/characters.py:scale_0.3`; the package's own are found by name from
anywhere.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from munet.config.values import EXPECTED
from munet.errors import ConfigError, UserError, nearest
from munet.paths import expanded


@dataclass(frozen=True)
class FileKind:
    """One kind of such files.

    Attributes:
      flag: the option that names one: `config`, `suite`.
      function: what a file must define; it takes a variant, or nothing.
      results: classes of what the function may give, by the names that messages call them.
      folder: where the package's own are, below its folder of configs; "" for that folder itself.
      classes: whose misspelt fields get the nearest valid names.
    """

    flag: str
    function: str
    results: Mapping[str, type]
    folder: str = ""
    classes: tuple[type, ...] = ()

    def shipped(self) -> dict[str, Path]:
        """The package's own files by name, e.g. `demo`: beside the package in a checkout, inside it when installed."""
        package = Path(__file__).resolve().parent.parent
        folders = [folder / "configs" / self.folder for folder in (package, package.parent)]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("[a-z]*.py"))}

    def find(self, spec: str) -> tuple[Path, str]:
        """The file and the variant ("" if none) that `FILE[:VARIANT]` means.

        A path that exists is taken as it is; otherwise `demo`, `demo.py` and `configs/demo.py` mean the package's own.

        Raises:
          UserError: no such file; the message names the nearest.
        """
        name, _, variant = spec.partition(":")
        path = expanded(name)
        if path.is_file():
            return path, variant
        shipped = self.shipped()
        own = path.name.removesuffix(".py")
        if path.parent in (Path(), Path("configs") / self.folder) and own in shipped:
            return shipped[own], variant
        raise UserError(f"--{self.flag}={spec}: there is no {self.flag} file {name!r}. {nearest(own, shipped)}")

    def load(self, spec: str) -> Any:
        """Runs the file that `spec` names and returns what its function gives, not yet validated.

        Raises:
          UserError: the file is missing, fails, lacks the function, has no such variant, or gives something else.
          ConfigError: it sets a field that there is not; the message names the nearest.
        """
        path, variant = self.find(spec)
        where = f"--{self.flag}={spec}"
        function = getattr(_run(path, where), self.function, None)
        if not callable(function):
            raise UserError(f"{where}: {path} has no function {self.function}(variant).")
        if variant and not inspect.signature(function).parameters:
            raise UserError(f"{where}: {path} has no variants; leave out {':' + variant!r}.")
        try:
            value = function(variant) if variant else function()
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        except Exception as error:
            if problem := _explained(error, self.classes):
                raise ConfigError([f"{where}: {_line(error, path)}{problem}"]) from error
            raise UserError(
                f"{where}: {self.function} failed: {_line(error, path)}{type(error).__name__}: {error}"
            ) from error
        if not isinstance(value, tuple(self.results.values())):
            raise UserError(
                f"{where}: {self.function} gave {type(value).__name__}; expected {' or '.join(self.results)}."
            )
        return value

    def default_workdir(self, spec: str, prefix: str = "runs/") -> str:
        """Where results are kept unless the user says otherwise: `runs/characters-scale_0.3`; raises as `find`."""
        path, variant = self.find(spec)
        suffix = re.sub(r"[^\w.]+", "-", variant).strip("-")
        return f"{prefix}{path.stem}-{suffix}" if suffix else f"{prefix}{path.stem}"


def _run(path: Path, where: str) -> ModuleType:
    """The module in a file, for `where` in messages."""
    name = f"munet_file_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise UserError(f"{where}: {path} is no Python file (*.py).")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses defined in such a file look their module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{where}: the file failed: {_line(error, path)}{type(error).__name__}: {error}") from error
    finally:
        del sys.modules[name]
    return module


def _line(error: Exception, path: Path) -> str:
    """Which line of the file the error came from, which is what its author needs: `mine.py, line 4: `."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    return f"{path}, line {lines[-1]}: " if lines else f"{path}: "


def _explained(error: Exception, classes: tuple[type, ...]) -> str:
    """What is wrong, if a field of one of the classes, or of a `ConfigDict`, is misspelt or mistyped; else "".

    Python and ml_collections say it in words only; newer versions of Python add more after them.
    """
    text = str(error)
    for pattern in (r"'(\w+)' object has no attribute '(\w+)'", r"(\w+)\.__init__\(\) got an unexpected .* '(\w+)'"):
        if (found := re.match(pattern, text)) and found[1] in (names := _field_names(classes)):
            return f"{type(error).__name__}: {text}. {nearest(found[2], names[found[1]])}"
    if Path(traceback.extract_tb(error.__traceback__)[-1].filename).name != "config_dict.py":
        return ""
    if found := re.match(
        r"Could not override field '(\w+)' .*?\. (.*) is of .*<class '(\w+)'>.* '(?:.*\.)?(\w+)'>", text, re.DOTALL
    ):
        words = {kind.__name__: expected for kind, (expected, *_) in EXPECTED.items()}
        expected = words.get(found[4], "a tuple" if found[4] == "tuple" else "a group of fields")
        return f"{found[1]} = {found[2]}: expected {expected}, got {found[3]} {found[2]}."
    if found := re.fullmatch(r"\W*(?:Key \W*)?(\w+)\W*( does not exist.*|nDid you mean.*)?", text, re.DOTALL):
        names = _field_names(classes)
        if owners := [cls for cls, fields in names.items() if found[1] in fields]:
            return f"there is no field {found[1]!r} there: it is one of {' and of '.join(owners)}."
        return (
            f"there is no field {found[1]!r}. {nearest(found[1], {name for group in names.values() for name in group})}"
        )
    return ""


def _field_names(classes: tuple[type, ...]) -> dict[str, list[str]]:
    return {cls.__name__: [item.name for item in dataclasses.fields(cls)] for cls in classes}
