"""The commands, one function each; options are the keyword arguments. What a command needs is imported inside it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from munet.errors import DiskFullError, UserError, WorkdirError
from munet.paths import expanded
from munet.text import plain_console, say

if TYPE_CHECKING:
    from munet.config import Config, MuirConfig, PretrainConfig, RoutingConfig, TrainConfig
    from munet.config.flags import Override
    from munet.progress.listeners import Listeners


def evolve(config: str, workdir: str, overrides: Sequence[Override], dry_run: bool) -> None:
    """Starts or resumes a run, its baselines too, and prints how they compare.

    Raises:
      UserError: the config, the data, the root or the work directory cannot be used.
      KeyboardInterrupt: the user ended it; everything committed is kept.
    """
    from munet.config.files import CONFIG_FILES
    from munet.config.flags import parse_config

    settings = parse_config(config, overrides)  # before JAX is imported: a typo is answered at once
    workdir = workdir or CONFIG_FILES.default_workdir(config)
    from munet.run import runs

    with _told(settings.runtime.notify, dry_run) as listeners:
        is_complete = runs.evolve(settings, workdir, listeners, dry_run)
    if is_complete:
        _print_results(settings, workdir)


@contextlib.contextmanager
def _told(command: str, dry_run: bool) -> Iterator[Listeners]:
    """Everything that a run tells goes to a display, the log and the user's hook; last of all how it ended."""
    from munet.progress.events import RunEnded, RunFailed
    from munet.progress.listeners import listeners_for

    started = time.monotonic()
    with listeners_for(sys.stdout, with_log=not dry_run, command="" if dry_run else command) as listeners:
        try:
            yield listeners
        except KeyboardInterrupt:
            listeners(RunEnded(is_complete=False, seconds=time.monotonic() - started))
            raise
        except Exception as error:
            with contextlib.suppress(DiskFullError, WorkdirError):  # of the log
                listeners(RunFailed(f"{type(error).__name__}: {error}"))
            raise


def extend(
    workdir: str,
    overrides: Sequence[Override],
    iterations: str,
    in_place: bool,
    to: str,
    again: bool,
    dry_run: bool,
) -> None:
    """Adds tasks or phases to a run, or goes on with that, and prints what it has reached.

    Raises:
      UserError: the run, the tasks, the settings or the directory cannot be used.
      KeyboardInterrupt: the user ended it; everything committed is kept.
    """
    from munet.config import Config
    from munet.config.flags import override
    from munet.run.extension import Request, parse_iterations

    if bool(to) + in_place != 1 and not (dry_run and not to):
        raise UserError("Say where: --in_place extends the run itself, --to=NEW a copy of it; give one of them.")
    request = Request(lambda config: override(config, overrides), parse_iterations(iterations), again)
    runtime = request.configure(Config()).runtime  # before JAX is imported: a typo is answered at once
    from munet.run import extend as extending

    with _told(runtime.notify, dry_run) as listeners:
        config = extending.extend(workdir, request, listeners, to=to, dry_run=dry_run)
    if config is not None:
        _print_results(config, to or workdir)


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


def _print_results(settings: Config, workdir: str) -> None:
    """The table that a run ends with: against its baselines if it has any, else its status."""
    from munet.report import status, tables

    if not settings.runtime.compare:
        status.print_status(workdir)
        return
    systems = tables.compared(workdir, tuple(reversed(settings.runtime.compare)))
    plain_console().print(tables.comparison(systems).rich(), highlight=False)


def pretrain(config: str, workdir: str, overrides: Sequence[Override], dry_run: bool) -> None:
    """Trains a root from scratch, or goes on with it.

    Raises:
      UserError: the config, the data or the work directory cannot be used.
      DivergedError: training left the finite numbers.
    """
    import shlex

    from munet.config.files import CONFIG_FILES, load_as
    from munet.config.flags import parse_as
    from munet.config.pretrain import PretrainConfig, without_foreign_text

    settings = parse_as(PretrainConfig, config, overrides)  # before JAX is imported: a typo is answered at once
    without_foreign_text(settings, load_as(PretrainConfig, config))
    workdir = workdir or CONFIG_FILES.default_workdir(config)
    words = ["munet", "pretrain", f"--config={config}", f"--workdir={workdir}", *map(str, overrides)]
    _train_jointly(settings, workdir, shlex.join(words), dry_run)


def train(config: str, workdir: str, overrides: Sequence[Override], dry_run: bool) -> None:
    """Trains several tasks together, or goes on with it, and prints what came of it.

    Raises:
      UserError: the config, the data, the root or the work directory cannot be used.
      DivergedError: training left the finite numbers.
      KeyboardInterrupt: the user ended it; what is saved is kept.
    """
    from munet.config.files import CONFIG_FILES
    from munet.config.flags import parse_of
    from munet.config.train import TrainConfig

    # Before JAX is imported: a typo is answered at once.
    settings = parse_of("munet train", TrainConfig, config, overrides)
    workdir = workdir or CONFIG_FILES.default_workdir(config)
    if _train_jointly(settings, workdir, "", dry_run) and isinstance(settings, TrainConfig):
        from munet.report import status

        status.print_status(workdir)


def _train_jointly(
    settings: PretrainConfig | TrainConfig | MuirConfig | RoutingConfig, workdir: str, command: str, dry_run: bool
) -> bool:
    """Whether the training is complete; everything is told to a display, the log and the user's hook."""
    from munet.joint import run
    from munet.progress.events import RunFailed, TrainingEnded
    from munet.progress.listeners import listeners_for

    started = time.monotonic()
    hook = "" if dry_run else settings.runtime.notify
    with listeners_for(sys.stdout, with_log=not dry_run, command=hook) as listeners:
        try:
            return run.train(settings, workdir, listeners, command=command, is_dry_run=dry_run)
        except KeyboardInterrupt:
            listeners(TrainingEnded(is_complete=False, seconds=time.monotonic() - started))
            raise
        except Exception as error:
            with contextlib.suppress(DiskFullError, WorkdirError):  # of the log
                listeners(RunFailed(f"{type(error).__name__}: {error}"))
            raise


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
    found = compress_run(workdir, to, tolerance=tolerance, tasks=names, data_dir=data_dir, say=_say)
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
    say(f"{task} is forgotten. `munet verify --workdir={workdir} --tests` measures what every other task is.")


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
    from munet.export import export as exports

    return exports.run(workdir, task, format, output, all_tasks, check)


def data(
    tasks: Sequence[str],
    data_dir: str,
    sheet_dir: str | None,
    to_folder: str,
    check_leaks: bool,
    max_bad_images: float,
) -> None:
    """Prints what tasks hold; writes a contact sheet of each unless something else is asked for.

    Args:
      tasks: URIs.
      data_dir, max_bad_images: as in `munet.data.open_settings.OpenSettings`.
      sheet_dir: where the contact sheets go; "": none; None: here, but none where the next two are given.
      to_folder: where the tasks are written as image files; "": nowhere.
      check_leaks: also count images that are in more than one split.
    """
    from pathlib import Path

    from munet.config import Runtime
    from munet.data.class_notes import notes_on_classes
    from munet.data.open_settings import OpenSettings, host_memory, share_of
    from munet.data.range_notes import notes_on_range
    from munet.data.tasks import load_tasks
    from munet.report.data.contact_sheet import write_contact_sheet
    from munet.report.data.describe import describe_tasks

    if not 0 <= max_bad_images <= 1:
        raise UserError(f"--max_bad_images={max_bad_images:g}: expected a share in [0, 1], e.g. 0.01.")
    if to_folder:
        from munet.report.data.to_folder import check_target, write_folder

        check_target(expanded(to_folder))
    limit = share_of(host_memory(), Runtime().resident_share)
    loaded = load_tasks(tasks, OpenSettings(data_dir, max_bad_images=max_bad_images, max_resident=limit, say=_say))
    console = plain_console()
    console.print(describe_tasks(loaded))
    for task in loaded:
        for note in task.notes:
            say(f"{task.uri}: {note}")
        for note in (*notes_on_classes(task, with_test=True), *notes_on_range(task)):
            say(note)
    if check_leaks:
        from munet.report.data.leaks import leaks_table

        console.print(leaks_table(loaded))
    if to_folder:
        for task in loaded:
            place = expanded(to_folder) / (task.info.name if len(loaded) > 1 else "")
            say(f"{write_folder(task, place, _say):,} images written: folder:{place}")
            task.release()
    sheet_dir = "" if sheet_dir is None and (check_leaks or to_folder) else "." if sheet_dir is None else sheet_dir
    if not sheet_dir:
        return
    for task in loaded:
        sheet = Path(sheet_dir) / f"{task.info.name.replace('/', '-')}.png"
        try:
            write_contact_sheet(task, sheet)
        except OSError as error:
            raise UserError(
                f"--sheet_dir={sheet_dir}: {sheet} cannot be written: {error.strerror or error}."
            ) from error
        say(f"contact sheet: {sheet}")


def _say(text: str) -> None:
    """Progress of what takes long: beside the output, not in it."""
    say(text, sys.stderr)


def roots(name: str, json: bool, cache_dir: str) -> None:
    """Lists known and cached roots, or fetches, checks and describes one."""
    from munet.roots import listing

    listing.describe_one(name, json, cache_dir) if name else listing.list_all(json, cache_dir)


def config(config: str, overrides: Sequence[Override], json: bool) -> None:
    """Lists every setting with its value and its meaning."""
    import shutil

    from munet.config import to_json
    from munet.config.fields import describe
    from munet.config.flags import parse_any_config

    values = parse_any_config(config, overrides)
    if json:
        from json import dumps

        print(dumps(to_json(values), indent=2))
        return
    for line in describe(values, max(shutil.get_terminal_size((110, 24)).columns - 1, 60)):
        say(line)


def devices(config: str, overrides: Sequence[Override], json: bool) -> None:
    """Says which devices JAX sees, and how many of them a run with these settings would use.

    Raises:
      UserError: the config cannot be used, or no device can.
    """
    from munet.config.flags import parse_config

    settings = parse_config(config, overrides)
    from munet.report import devices as report

    report.print_devices(settings, json)


def benchmark(
    suite: str,
    workdir: str,
    repeats: int,
    workers: int,
    methods: str,
    reference: str,
    dry_run: bool,
    overrides: Sequence[Override],
) -> int:
    """Runs a suite, or goes on with it; the exit code is 0 if every run is complete, 1 if some failed.

    Raises:
      UserError: the suite, its data or its directory cannot be used.
      KeyboardInterrupt: the user ended it; everything committed is kept.
    """
    from munet.suites import benchmark as benchmarks
    from munet.suites.suite import SUITE_FILES

    place = workdir or SUITE_FILES.default_workdir(suite, "runs/suite-")
    chosen = tuple(name for name in methods.split(",") if name)
    options = benchmarks.Options(suite, place, repeats, workers, chosen, reference, tuple(overrides))
    if dry_run:
        benchmarks.dry_run(options, say)
        return 0
    failed = benchmarks.benchmark(options, say)
    return 1 if failed else 0
