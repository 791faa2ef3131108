"""`munet benchmark`: runs what is missing of a suite, and makes results.parquet and tables of what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from munet import kinds
from munet.config.flags import Override
from munet.errors import SuiteError, nearest
from munet.store.folders import open_folder
from munet.suites import record, results, unlike, worker
from munet.suites.execute import Outcome, Workers
from munet.suites.inputs import check_inputs
from munet.suites.plan import Run, plan
from munet.suites.reference import REFERENCES
from munet.suites.report import PAGE
from munet.suites.suite import BENCHMARKS, SUITE_FILES, Suite
from munet.text import count

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line says; see `munet benchmark --help`."""

    suite: str
    workdir: str
    repeats: int = 5
    workers: int = 0
    methods: tuple[str, ...] = ()
    reference: str = ""
    overrides: tuple[Override, ...] = ()


def benchmark(options: Options, say: Say) -> list[Outcome]:
    """Runs what is missing and writes the results.

    Returns:
      The runs that failed.

    Raises:
      UserError: the suite, its data or its directory cannot be used; nothing has started then.
      KeyboardInterrupt: the user ended it; what is complete is in the results.
    """
    suite, runs = read(options)
    comparison = kinds.of(runs[0].config).comparison
    if comparison is None:
        raise TypeError("a suite of trainings that are not compared")
    before = record.read(options.workdir)
    results.read(options.workdir)  # of another version: refused before anything is written
    check_inputs(runs)
    done = [run for run in runs if is_complete(run)]
    todo = [run for run in runs if run not in done]
    places = worker.places(options.workers) if todo else []
    together = {run.method.name: run.num_seeds for run in runs}
    kept = record.of_suite(suite, options.suite, options.repeats, tuple(map(str, options.overrides)), before, together)
    others = unlike.found(suite, options.workdir, kept, options.overrides, runs)
    report = comparison.report()(options.workdir, suite, kept, options.reference, others)
    report.rows()  # of methods that only an earlier suite had, too: what cannot be read is said now
    with record.locked(options.workdir) as inherit:
        record.write(options.workdir, kept)
        say(f"{count(len(runs), 'run')} in {options.workdir}: {len(done)} complete, {len(todo)} to do.")
        failed: list[Outcome] = []

        def on_end(outcome: Outcome) -> None:
            if outcome.error:
                failed.append(outcome)
            else:
                report.write()

        if todo:
            Workers(places, say, on_end, inherit).run(todo)
        report.write(with_figures=True)
        for line in report.brief():
            say(line)
        say(f"results: {open_folder(options.workdir).location(PAGE)}")
    return failed


def read(options: Options) -> tuple[Suite, list[Run]]:
    """The suite and its runs, checked.

    Raises:
      SuiteError: all problems in one message.
      UserError: the suite's file cannot be used.
    """
    suite: Suite = SUITE_FILES.load(options.suite)
    problems = []
    if options.reference and options.reference not in REFERENCES:
        problems.append(f"--reference={options.reference}: {nearest(options.reference, REFERENCES)}")
    elif options.reference and not suite.benchmark:
        problems.append(
            f"--reference={options.reference}: the suite is none of the paper's; give it benchmark="
            f"{' or '.join(map(repr, BENCHMARKS))}, or leave --reference out."
        )
    try:
        runs = plan(suite, options.workdir, options.repeats, options.overrides, options.methods)
    except SuiteError as error:
        raise SuiteError([*error.problems, *problems]) from None
    if problems:
        raise SuiteError(problems)
    return suite, runs


def is_complete(run: Run) -> bool:
    """Whether the run needs nothing more."""
    kind = kinds.of(run.config)
    return kind.is_begun(run.workdir) and kind.is_complete(run.workdir)


def behind(run: Run) -> int:
    """What the run has behind it and need not do again, in the units of its `MethodTime`; 0 if it has not begun."""
    kind = kinds.of(run.config)
    return kind.behind(run.workdir) if kind.is_begun(run.workdir) else 0


def dry_run(options: Options, say: Say) -> None:
    """Says which runs there would be, how many images they train on, and about how long; writes nothing.

    Raises:
      UserError: as `benchmark`.
    """
    from munet.suites import times

    _, runs = read(options)
    record.read(options.workdir)
    check_inputs(runs)
    measure = times.Measurements()
    done = [run for run in runs if is_complete(run)]
    begun = {run.workdir: behind(run) for run in runs if run not in done}
    for line in times.lines(runs, done, begun, times.of_methods(runs, measure)):
        say(line)
    say(f"one run of {runs[-1].method.name}:")
    last = runs[-1].config
    for text in kinds.of(last).dry_run(last, measure):
        for line in text.splitlines():
            say(f"  {line}".rstrip())
