"""`munet export`: a task's model, or every task's, as a folder that other programs open.

A folder holds the weights in the format's own files, a model card (`README.md`), and `munet.json`, which says for
programs what the card says for people. Nothing is written into the work directory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munet import __version__
from munet.errors import GoneOnError, UserError, nearest
from munet.export import card, npz, portable, safetensors_timm, stablehlo
from munet.export.names import folder_names
from munet.export.portable import PortableModel, Usage
from munet.store.new_directory import check_new_directory, new_directory
from munet.system import view
from munet.system.reading import reading
from munet.system.view import RunView
from munet.text import say
from munet.types import TaskName

MANIFEST, CARD = "munet.json", "README.md"
FORMAT_VERSION = 1
_ONNX = (
    "onnx is made from the PyTorch module: export with --format=safetensors, then give the command of "
    "docs/howto/export.md, section ONNX, where torch is installed."
)


@dataclass(frozen=True)
class Format:
    """A way to write a model.

    Attributes:
      write: puts the weights' files into a folder; raises `UserError` where it cannot hold such a model.
      usage: what the card says of it.
      check: raises `UserError` where a package is missing.
    """

    write: Callable[[PortableModel, Path], None]
    usage: Callable[[PortableModel], Usage]
    check: Callable[[], None] = lambda: None


FORMATS = {
    "safetensors": Format(safetensors_timm.write, safetensors_timm.usage),
    "npz": Format(npz.write, npz.usage),
    "stablehlo": Format(stablehlo.write, stablehlo.usage, stablehlo.check_installed),
}


def export(system: RunView, task: TaskName, folder: str | Path, format: str = "safetensors") -> Path:
    """Writes a task's model.

    Args:
      system: of `munet.open`.
      task: a solved task.
      folder: a new or empty local folder, outside the work directory.
      format: `safetensors` (for timm), `npz` (augreg) or `stablehlo`.

    Returns:
      The folder.

    Raises:
      UserError: no such task or format, the format cannot hold the model, a package is missing, or the folder cannot
        be used; nothing is written then.
      CorruptionError: a component is damaged or missing.
    """
    chosen = get_format(format)
    system.model(task)
    check_new_directory("output", str(folder), system.workdir)
    model = portable.of_task(system, task)
    with new_directory("output", str(folder)) as place:
        _write(system, model, place, format, chosen)
    return Path(folder)


def export_all(
    system: RunView, folder: str | Path, format: str = "safetensors", say: Callable[[str], None] = print
) -> dict[TaskName, Path]:
    """Writes every task's model into a folder of its own inside `folder`, named after the task.

    Models that cannot be written are named at the end; all others are written first.

    Args:
      system, folder, format: as for `export`.
      say: told of each folder.

    Raises:
      UserError: as for `export`; or some tasks' models could not be written, each with its reason.
    """
    chosen = get_format(format)
    if not system.models:
        raise UserError(f"No task of {system.workdir} has a model yet: its first phase has not ended.")
    check_new_directory("output", str(folder), system.workdir)
    names = folder_names(system.models)
    problems: dict[TaskName, str] = {}
    with new_directory("output", str(folder)) as place:
        for task in system.models:
            inner = place / names[task]
            inner.mkdir()
            try:
                _write(system, portable.of_task(system, task), inner, format, chosen)
            except GoneOnError:
                raise
            except UserError as error:
                problems[task] = str(error)
                _remove(inner)
        if len(problems) == len(names):
            raise UserError(f"No model could be exported:{_listed(problems)}")
    written = {task: Path(folder) / name for task, name in names.items() if task not in problems}
    for task, path in written.items():
        say(f"{task}: {path}")
    if problems:
        raise UserError(f"{len(problems)} of {len(names)} models could not be exported:{_listed(problems)}")
    return written


def run(workdir: str, task: str, format: str, output: str, all_tasks: bool, check: str) -> int:
    """What the command does; the exit code is 2 where a check found a difference.

    What was exported says nowhere which run it is of, so a check has to be told: it takes no `workdir` "".

    Raises:
      UserError: the options do not fit together, or what `export` raises.
    """
    if check:
        if output or all_tasks:
            raise UserError("--check=DIR looks at what was exported before: leave --output and --all_tasks out.")
        if not workdir:
            raise UserError(f"--check={check}: say which run it was exported from, too: --workdir=DIR.")
        from munet.export.check import check_folder

        return 0 if check_folder(view.open(workdir), check, task, print) else 2
    if not output:
        raise UserError("--output is missing: give a new or empty folder.")
    get_format(format)
    if bool(task) == all_tasks:
        raise UserError("say which model: --task=NAME, or --all_tasks for a folder each (one of the two).")
    if all_tasks:
        reading(workdir, view.open, lambda system: export_all(system, output, format))
    else:
        place = reading(workdir, view.open, lambda system: export(system, task, output, format))
        say(f"{task}: {place}")
    return 0


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
      UserError: there is none, or its package is missing.
    """
    if name == "onnx":
        raise UserError(f"--format=onnx: {_ONNX}")
    if name not in FORMATS:
        raise UserError(f"There is no format {name!r}. {nearest(name, FORMATS)}")
    FORMATS[name].check()
    return FORMATS[name]


def _write(system: RunView, model: PortableModel, place: Path, format: str, chosen: Format) -> None:
    chosen.write(model, place)
    text = card.card(system, model, format, chosen.usage(model))
    (place / CARD).write_text(text, encoding="utf-8")
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(place.iterdir())}
    manifest = json.dumps(_manifest(system, model, format, files), indent=2)
    (place / MANIFEST).write_text(manifest + "\n", encoding="utf-8")


def _manifest(system: RunView, model: PortableModel, format: str, files: dict[str, str]) -> dict[str, Any]:
    record = system.model(model.task)
    return {
        "format": "munet-export",
        "version": FORMAT_VERSION,
        "munet": __version__,
        "kind": format,
        "task": model.task,
        "class_names": list(model.class_names),
        "image_size": model.image_size,
        "canvas": model.canvas,
        "antialias": model.antialias,
        "image_shape": list(model.image_shape),
        "model": record.id,
        "components": dict(record.components),
        "files": files,
    }


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _listed(problems: dict[TaskName, str]) -> str:
    return "".join(f"\n  - {task}: {text}" for task, text in problems.items())
