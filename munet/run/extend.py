"""`munet extend`: more tasks or more phases for a run that is there, in its place or in a copy of it.

The journal gets one entry; then the run goes on as any other. The same call goes on with an extension that was
interrupted. Of the data only that of phases to come is needed, and of the root nothing: the run has it.
"""

from __future__ import annotations

import time
from dataclasses import replace

from munet.config import Config
from munet.config.evolve import BaselineKind
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.data.uris import absolute
from munet.errors import ConfigError, UserError, WorkdirError
from munet.progress import events
from munet.progress.events import Notify
from munet.run import runs, setting_notes
from munet.run.deadline import Deadline, TimeIsUpError
from munet.run.dry_run import describe_extension
from munet.run.extension import Extension, Request, known_extension, plan_extension
from munet.run.grown import Grown
from munet.store import Store, new_workdir
from munet.store.folders import is_remote
from munet.system import view
from munet.system.baselines import baseline_workdir
from munet.system.view import RunView
from munet.text import count


def extend(
    workdir: str,
    request: Request,
    notify: Notify,
    *,
    to: str = "",
    dry_run: bool = False,
    arrays: Arrays = NO_ARRAYS,
) -> Config | None:
    """Extends a run and trains what is new, or goes on with that; then baselines, for the tasks that are new.

    Args:
      workdir: of the run.
      request: what is asked for.
      notify: told everything that happens.
      to: a new or empty directory, or one that an earlier call made: the run in `workdir` stays as it is; "": in place.
      dry_run: only say what would be done and how long it would take; nothing is written.
      arrays: the `memory:` tasks, by name.

    Returns:
      The settings of what is new, when everything is complete; None: `runtime.max_hours` have passed, and the same
      call goes on.

    Raises:
      UserError: the run or the request cannot be used; nothing is written then.
      EvolutionError: every child of a phase diverged.
    """
    started = time.perf_counter()
    is_copied = bool(to) and _is_copy(workdir, to)
    place = to if is_copied else workdir
    if to and not is_copied:
        new_workdir.check_places(workdir, to, "extended")
    system = view.open(place)
    # What is asked for once more is the run's: the copy has it already.
    extension = known_extension(system, replace(request, again=False)) if is_copied else plan_extension(system, request)
    if extension is None:
        raise WorkdirError(
            f"--to={to} is a copy of {workdir} that was extended otherwise: give a new or empty directory, or extend "
            f"that copy (--workdir={to} --in_place)."
        )
    if extension.is_there and to and not is_copied:
        instead = "for as many again add --again" if system.is_complete else "go on with it in its place, --in_place"
        raise WorkdirError(
            f"--to={to}: the run in {workdir} is extended by these phases already ({', '.join(extension.phases)}): "
            f"{instead}."
        )
    if extension.config.runtime.compare and not extension.new:
        raise UserError("--config.compare trains the new tasks with baselines, and there are none: leave it out.")
    for kind in extension.config.runtime.compare:  # hours before it is its turn
        _extended_baseline(baseline_workdir(place, kind), extension, request)
    for text in setting_notes.new_notes(system.plan.settings[-1].experiment, extension.config):
        notify(events.Note(text))
    deadline = Deadline(extension.config.runtime.max_hours)
    grown = Grown.prepare(system, extension, lambda text: notify(events.Note(text)), arrays)
    if dry_run:
        for line in describe_extension(grown):
            notify(events.Note(line))
        return None
    if grown.entry is not None:
        had = count(len(grown.plan.phases) - len(extension.phases), "phase")
        what = f"a copy of {system.workdir}, {to}, which has {had}," if to else f"{system.workdir}, which has {had},"
        notify(events.Note(f"Extending {what} by: {', '.join(extension.phases)}."))
    try:
        runs.go_on(grown, to or place, notify, deadline)
        if grown.entry is None and system.is_complete:
            more = f"--workdir={to} --in_place --again" if is_copied else "--again"
            notify(events.Note(f"The run in {system.workdir} has these phases; for further ones like them: {more}."))
        for kind in extension.config.runtime.compare:
            _extend_baseline(kind, to or place, extension, request, notify, deadline, arrays)
    except TimeIsUpError as error:
        runs.say_time_is_up(error, deadline, time.perf_counter() - started, notify)
        return None
    return extension.config


def _is_copy(workdir: str, to: str) -> bool:
    """Whether an earlier call has made the copy, which then begins as the run does.

    Raises:
      WorkdirError: there is another run.
    """
    if is_remote(to) or Store(to).path == Store(workdir).path or not len(copy := Store(to).journal):
        return False  # where it is the run itself, that is refused with all other places
    first = Store.open(workdir).journal
    if copy.hash_at(1) != first.hash_at(1):
        raise WorkdirError(f"--to={to} holds another run than {workdir}: give a new or empty directory.")
    return True


def _extend_baseline(
    kind: BaselineKind,
    workdir: str,
    extension: Extension,
    request: Request,
    notify: Notify,
    deadline: Deadline,
    arrays: Arrays,
) -> None:
    """Trains the new tasks with a baseline: in the run that there is of it, or else in one of these tasks alone."""
    place, runtime = baseline_workdir(workdir, kind), replace(extension.config.runtime, compare=())
    if found := _extended_baseline(place, extension, request):
        runs.go_on(Grown.prepare(*found, arrays=arrays), place, notify, deadline)
        return
    experiment = extension.config.experiment
    experiment = replace(
        experiment,
        tasks=tuple(map(absolute, extension.new.values())),
        private_tasks=tuple(name for name in experiment.private_tasks if name in extension.new),
        baseline=replace(experiment.baseline, kind=kind),
    )
    runs.start_or_go_on(Config(experiment, runtime), place, notify, deadline, arrays)


def _extended_baseline(workdir: str, extension: Extension, request: Request) -> tuple[RunView, Extension] | None:
    """The run that there is of a baseline, and by what it is to be extended; None: there is none of other tasks.

    Raises:
      ConfigError: it cannot be extended so.
    """
    if not len(Store(workdir).journal):
        return None
    system = view.open(workdir)
    if system.plan.last_extension is None and [*extension.new] == [task.name for task in system.tasks]:
        return None
    runtime = replace(extension.config.runtime, compare=())
    try:
        own = Request(lambda config: replace(request.configure(config), runtime=runtime))
        return system, plan_extension(system, own)
    except ConfigError as error:
        raise ConfigError([f"{workdir}: {problem}" for problem in error.problems]) from error
