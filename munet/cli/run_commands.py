"""Commands that start something, or say what would be started; options are the keyword arguments.

What a command needs is imported inside it; the options stand in `run_options.py`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from munet.errors import DiskFullError, UserError, WorkdirError
from munet.text import plain_console, say

if TYPE_CHECKING:
    from munet.config import Config
    from munet.config.flags import Override
    from munet.kinds import JointConfig
    from munet.progress.events import RunEnded, TrainingEnded
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
    from munet.progress.events import RunEnded
    from munet.run import runs

    with _told(settings.runtime.notify, dry_run, RunEnded) as listeners:
        is_complete = runs.evolve(settings, workdir, listeners, dry_run)
    if is_complete:
        _print_results(settings, workdir)


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
    from munet.progress.events import RunEnded
    from munet.run import extend as extending

    with _told(runtime.notify, dry_run, RunEnded) as listeners:
        config = extending.extend(workdir, request, listeners, to=to, dry_run=dry_run)
    if config is not None:
        _print_results(config, to or workdir)


def _print_results(settings: Config, workdir: str) -> None:
    """What a run ends with: its table, against its baselines if it has any, else its status; and what to do with it."""
    from munet.report import comparison, status
    from munet.report.overview import next_steps

    if settings.runtime.compare:
        systems = comparison.compared(workdir, tuple(reversed(settings.runtime.compare)))
        plain_console().print(comparison.comparison(systems).rich(), highlight=False)
    else:
        status.print_status(workdir)
    say(next_steps(workdir))


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
    from munet import kinds
    from munet.config.files import CONFIG_FILES
    from munet.config.flags import parse_of
    from munet.config.train import TrainConfig

    # Before JAX is imported: a typo is answered at once.
    settings = parse_of("munet train", TrainConfig, config, overrides)
    workdir = workdir or CONFIG_FILES.default_workdir(config)
    if _train_jointly(settings, workdir, "", dry_run) and kinds.of(settings).print_status is None:
        from munet.report import status

        status.print_status(workdir)


def _train_jointly(settings: JointConfig, workdir: str, command: str, dry_run: bool) -> bool:
    """Whether the training is complete; everything is told to a display, the log and the user's hook."""
    from munet.joint import run
    from munet.progress.events import TrainingEnded

    with _told(settings.runtime.notify, dry_run, TrainingEnded) as listeners:
        return run.train(settings, workdir, listeners, command=command, is_dry_run=dry_run)


@contextlib.contextmanager
def _told(command: str, dry_run: bool, ended: type[RunEnded] | type[TrainingEnded]) -> Iterator[Listeners]:
    """Everything that is told goes to a display, the log and the user's hook; last of all how it ended."""
    from munet.progress.events import RunFailed
    from munet.progress.listeners import listeners_for

    started = time.monotonic()
    with listeners_for(sys.stdout, with_log=not dry_run, command="" if dry_run else command) as listeners:
        try:
            yield listeners
        except KeyboardInterrupt:
            listeners(ended(is_complete=False, seconds=time.monotonic() - started))
            raise
        except Exception as error:
            with contextlib.suppress(DiskFullError, WorkdirError):  # of the log
                listeners(RunFailed(f"{type(error).__name__}: {error}"))
            raise


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
