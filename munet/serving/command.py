"""`munet predict`: the classes of image files, by one task's model or by all."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import munet
from munet import kinds
from munet.errors import CorruptionError, UserError
from munet.report.answers import CsvLines, Form, JsonLines, Table
from munet.serving.answers import Alone, Models, answers, only_task
from munet.serving.image_paths import STANDARD_INPUT, image_paths
from munet.system.reading import reading
from munet.system.system import System
from munet.text import say
from munet.training.program.compilation_cache import use_compilation_cache
from munet.types import TaskName

_NAMED = 20  # unreadable files that the end names; the answers name all
_SECONDS_BETWEEN_LINES = 0.5


@dataclass(frozen=True)
class Options:
    """What `munet predict` is asked for.

    Attributes:
      workdir: of the run.
      images: files, folders, and `-` for paths from standard input.
      task: whose model; "": the only one, or all with `all_tasks`.
      all_tasks: whether every task's model is asked.
      form: "table", "json" or "csv".
      top: how many classes of each image.
      min_confidence: in [0, 1]; less probable classes are not named.
      output: a file; "" or "-": standard output.
      cache_dir: of compiled programs, as `runtime.cache_dir`.
    """

    workdir: str
    images: Sequence[str]
    task: str = ""
    all_tasks: bool = False
    form: str = "table"
    top: int = 3
    min_confidence: float = 0.0
    output: str = ""
    cache_dir: str = ""


def check(options: Options) -> None:
    """Refuses what cannot be meant, before anything is loaded.

    Raises:
      UserError: no images, both a task and all of them, a number out of range.
    """
    if not options.images:
        raise UserError(
            "name images: files, folders, or - for paths from standard input: munet predict --task=digits scans/"
        )
    if options.task and options.all_tasks:
        raise UserError("--task and --all_tasks: give one of them.")
    if options.top < 1:
        raise UserError(f"--top={options.top}: expected 1 or more classes an image.")
    if not 0 <= options.min_confidence <= 1:
        raise UserError(f"--min_confidence={options.min_confidence:g}: expected a probability in [0, 1], e.g. 0.8.")


def predict(options: Options) -> bool:
    """Writes the answers; gives whether every image could be read, and every task be asked.

    Raises:
      UserError: the run, the task, a component or the output cannot be used.
    """
    models, is_whole = _opened_models(options)
    problems: list[str] = []
    count = num_bad = 0
    # The first path is asked for before the output is opened: where there is none, a file of before stays as it was.
    with (
        _surrogates(sys.stdin),
        contextlib.nullcontext(_some_paths(options.images)) as paths,
        _opened(options.output) as stream,
    ):
        form = _form(options, stream, models)
        progress = _Progress(is_shown=stream is not sys.stdout or not stream.isatty())
        try:
            for together in answers(models, paths):
                for answer in together:
                    form.write(answer)
                stream.flush()  # whoever reads them has them as they are ready
                bad = [
                    f"{answer.path} ({answer.problem.removeprefix('cannot be read: ')})"
                    for answer in together
                    if answer.problem
                ]
                count, num_bad = count + len(together), num_bad + len(bad)
                problems += bad[: _NAMED - len(problems)]
                progress.show(count)
        finally:
            form.end()
            stream.flush()
            progress.end()
    if num_bad:
        more = f", and {num_bad - len(problems):,} more" if num_bad > len(problems) else ""
        text = f"munet: {num_bad:,} of {count:,} images could not be read: {', '.join(problems)}{more}."
        say(text, sys.stderr)
    return is_whole and not num_bad


def _some_paths(images: Sequence[str]) -> Iterator[str]:
    """The paths of the images; waits for the first one.

    Raises:
      UserError: there is none.
    """
    paths = image_paths(images, sys.stdin)
    for first in paths:
        return itertools.chain([first], paths)
    raise UserError(
        f"there are no images in {', '.join(map(repr, images))}: files, folders of JPEG, PNG, WebP, GIF, BMP or TIFF "
        "files, or - for paths from standard input."
    )


def _opened_models(options: Options) -> tuple[Models, bool]:
    """See `_models`; of a kind that no system is opened of, its own."""
    use_compilation_cache(options.cache_dir)
    if (kind := kinds.found(options.workdir)) is not None and kind.models is not None:
        return kind.models()(options.workdir, options.task, options.all_tasks), True
    return reading(options.workdir, munet.open, lambda system: _models(system, options))


def _models(system: System, options: Options) -> tuple[Models, bool]:
    """Those that are asked, and whether none is missing; what several tasks share is computed once.

    Raises:
      UserError: no such task, or no model; with `all_tasks`, that no model at all can be used.
    """
    if not options.all_tasks:
        task = options.task or only_task([task.name for task in system.tasks], list(system.models))
        return Alone(system.predictor(task)), True
    found: list[TaskName] = []
    errors: list[CorruptionError] = []
    for task in system.models:
        try:
            found.append(system.predictor(task).task)
        except CorruptionError as error:
            errors.append(error)
            say(f"munet: {task} is left out: {error}", sys.stderr)
    if not found:
        raise errors[0] if errors else UserError(f"{system.workdir}: no task has a model yet: no phase has ended.")
    return system.together(found), not errors


def _form(options: Options, stream: TextIO, models: Models) -> Form:
    top = min(options.top, max(len(models.classes[task]) for task in models.tasks))
    if options.form == "json":
        return JsonLines(stream, top, options.min_confidence)
    if options.form == "csv":
        return CsvLines(stream, top, options.min_confidence)
    return Table(stream, top, options.min_confidence, models.tasks)


@contextlib.contextmanager
def _opened(output: str) -> Iterator[TextIO]:
    """Where answers are written.

    Raises:
      UserError: the file cannot be written.
    """
    if output in ("", STANDARD_INPUT):
        with _surrogates(sys.stdout):
            yield sys.stdout
        return
    try:
        file = Path(output).open("w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--output={output} cannot be written: {reason}. Give a file in a folder that is there."
        ) from None
    with file:
        yield file


@contextlib.contextmanager
def _surrogates(stream: object) -> Iterator[None]:
    """File names that are no text pass through as the bytes that they are."""
    reconfigure, before = getattr(stream, "reconfigure", None), getattr(stream, "errors", None)
    if reconfigure is None:
        yield
        return
    reconfigure(errors="surrogateescape")
    try:
        yield
    finally:
        reconfigure(errors=before)


class _Progress:
    """How many images are answered and how fast, on a terminal that shows nothing else."""

    def __init__(self, is_shown: bool):
        self._is_shown = is_shown and sys.stderr.isatty()
        self._started, self._said = time.monotonic(), 0.0

    def show(self, count: int) -> None:
        """One more is answered."""
        now = time.monotonic()
        if self._is_shown and now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            rate = count / max(now - self._started, 1e-9)
            print(f"\r{count:,} images, {rate:,.0f} a second ", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Takes the line away."""
        if self._said:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
