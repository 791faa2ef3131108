"""Commands that look at a run, use it or change what it is; options are the keyword arguments.

What a command needs is imported inside it; the options stand in `system_options.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from munet.errors import UserError
from munet.text import plain_console, say, say_beside

if TYPE_CHECKING:
    pass


def table(workdir: str, columns: str, sort: str, task: str, histogram: str, json: bool, csv: bool, wide: bool) -> None:
    """Prints every child of a run with the columns that are asked for, or how a column's values spread.

    Raises:
      UserError: no such column or task, or a work directory without children.
    """
    from munet.report import children_table

    if json and csv:
        raise UserError("--json and --csv: give one of them.")
    names = [name.strip() for name in columns.split(",") if name.strip()]
    form = "json" if json else "csv" if csv else ""
    children_table.run(workdir, names, sort, task, histogram, form, wide)


def status(workdir: str, json: bool, task: str, confusion: str, wide: bool, compare: bool) -> None:
    """Prints what a run has reached; of one task, how it does class by class; or how it compares with its baselines."""
    from munet.report.status import print_status

    print_status(workdir, json, task, confusion, wide=wide, compare=compare)


def verify(workdir: str, tests: bool, repair: bool, data_dir: str) -> int:
    """Checks every stored file; the exit code is 0 if all are sound, else that of unusable input.

    With `tests` every test accuracy is measured again and compared with the journal's (the immutability check). With
    `repair` a damaged newest journal entry is dropped first, where that suffices.

    Raises:
      UserError: there is no run; or, with `repair`, more is damaged.
    """
    from munet.report.verify import verify as checks

    if repair:
        from munet.report.verify import repair as repairs

        say(repairs.repair(workdir))

    return 2 if checks.run(workdir, checks.remeasure(data_dir) if tests else None) else 0


def compress(workdir: str, to: str, tolerance: float | None, tasks: str, data_dir: str) -> None:
    """Writes a smaller copy of a finished system, and prints what it costs and saves.

    Raises:
      UserError: the run, its data or a directory cannot be used, or nothing can be saved.
    """
    from munet.store import new_workdir

    new_workdir.check_places(workdir, to)  # before JAX is imported
    from munet.compression.finished import compress_run
    from munet.report import compressed

    names = tuple(name for name in tasks.split(",") if name)
    found = compress_run(workdir, to, tolerance=tolerance, tasks=names, data_dir=data_dir, say=say_beside)
    console = plain_console()
    console.print(compressed.table(found.before, found.after, found.compression.before))
    console.print(compressed.summary(found.before, found.after), highlight=False, markup=False)


def forget(workdir: str, task: str, yes: bool) -> None:
    """Takes a task out of a finished run, its baselines too, after saying what that will change.

    Raises:
      UserError: the run or the task cannot be used, or whoever is asked says no.
    """
    from munet.report import forgotten
    from munet.run import forget as forgetting

    planned = forgetting.plan_forgetting(workdir, task)
    for one in planned:
        for line in forgotten.describe(one):
            say(line)
    if not yes and any(one.entry for one in planned):
        _ask(f"Forget {task}? It cannot be undone. [y/N] ")
    for one in planned:
        forgetting.forget(one)
    say(f"{task} is forgotten. `munet verify --workdir={workdir} --tests` measures all others again.")


def _ask(question: str) -> None:
    """Asks a person.

    Raises:
      UserError: there is none, or the answer is not yes.
    """
    if not sys.stdin.isatty():
        raise UserError("Nothing was changed: there is no terminal to ask on; --yes says that it is meant.")
    say(question)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was changed.")


def predict(
    workdir: str,
    images: Sequence[str],
    task: str,
    all_tasks: bool,
    json: bool,
    csv: bool,
    top: int,
    min_confidence: float,
    output: str,
    cache_dir: str,
) -> int:
    """Prints the classes of image files; the exit code is that of unusable input if any of them could not be read.

    Raises:
      UserError: the run, the task or the output cannot be used, or there are no images.
    """
    if json and csv:
        raise UserError("--json and --csv: give one of them.")
    from munet.serving import command

    form = "json" if json else "csv" if csv else "table"
    options = command.Options(
        workdir, images, task, all_tasks, form, top, min_confidence, output=output, cache_dir=cache_dir
    )
    command.check(options)
    return 0 if command.predict(options) else 2


def serve(workdir: str, tasks: str, **options: Any) -> None:
    """Answers over HTTP until it is ended.

    Args:
      workdir: of the run.
      tasks: joined by commas.
      **options: the others of `munet.server.command.Options`.

    Raises:
      UserError: the run, an option or the port cannot be used, or a package is missing.
    """
    from munet.server import command

    names = tuple(name for name in tasks.split(",") if name)
    command.serve(command.Options(workdir, names, **options))


def graph(workdir: str, format: str, output: str) -> None:
    """Writes the layer graph."""
    from munet.report.graph import render

    render.write(workdir, format, output)
    if output not in ("", "-"):
        say(f"graph: {output}")


def report(workdir: str, serve: bool, port: int, **options: Any) -> None:
    """Writes the report of a run as a page, its figures and tables as files if they are asked for; or serves the page.

    Args:
      workdir: of the run.
      serve: whether the page is served until the user ends it.
      port: where.
      **options: the others of `munet.report.page.command.Options`.

    Raises:
      UserError: there is no run, the data is not there, a file cannot be written, or the port cannot be used.
    """
    if serve:
        if options["figures"] or options["examples"]:
            raise UserError("--serve shows the page as the run goes on: leave --figures and --examples out.")
        from munet.report.live import command as live

        live.serve(workdir, options["compare"], port)
        return
    from munet.report.page import command

    command.write(command.Options(workdir, **options))


def animate(workdir: str, output: str, seconds: float) -> None:
    """Writes a run's evolution as a film.

    Raises:
      UserError: there is no run, the file cannot be written, or a package is missing.
    """
    from munet.report.animation import command

    command.write(workdir, output, seconds)


def tensorboard(workdir: Sequence[str], logdir: str, follow: bool) -> None:
    """Writes TensorBoard's event files of runs.

    Raises:
      UserError: no run, nothing can be written, or a package is missing.
      KeyboardInterrupt: the user ended following.
    """
    from munet.cli.options import DEFAULT_WORKDIR
    from munet.report.tensorboard import command

    command.write(workdir or [DEFAULT_WORKDIR], logdir, follow)


def export(workdir: str, task: str, format: str, output: str, all_tasks: bool, check: str) -> int:
    """Writes models for other programs, or compares what was written with the system; the code of a difference is 2.

    Raises:
      UserError: the options, the run, the model or the folder cannot be used.
    """
    from munet.cli.options import DEFAULT_WORKDIR
    from munet.export import export as exports

    if not check:
        workdir = workdir or DEFAULT_WORKDIR
    return exports.run(workdir, task, format, output, all_tasks, check)
