"""What the table of kinds calls for evolution. What a function needs is imported when it is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from munet.config.evolve import Config
from munet.progress.events import Notify

if TYPE_CHECKING:
    from munet.suites.times import Measure, MethodTime


def evolve(config: Config, workdir: str, notify: Notify) -> bool:
    """Starts or goes on with a run; whether it is complete."""
    from munet.run import runs

    return runs.evolve(config, workdir, notify)


def has_journal(workdir: str) -> bool:
    """Whether there is a run that may be gone on with."""
    from munet.store import Store

    return Store(workdir).has_begun


def has_closed_all_phases(workdir: str) -> bool:
    """Whether a run needs nothing more."""
    from munet.system import view

    return view.open(workdir).is_complete


def image_steps(workdir: str) -> int:
    """The image-steps that a run has behind it."""
    from munet.system import view

    return view.open(workdir).run_state.image_steps


def time_of_run(config: Config, measure: Measure) -> MethodTime:
    """How long a run takes, by measured steps."""
    from munet.suites import times

    return times.of_run(config, measure)


def describe_dry_run(config: Config, measure: Measure) -> Iterable[str]:
    """What `--dry_run` says of a run."""
    from munet.run import dry_run

    return dry_run.describe(config, measure=measure)
