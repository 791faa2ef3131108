"""A run and the baselines that it is compared with: how each is started, gone on with, or found complete.

Everything is checked before the work directory is touched. What has been committed is never lost: an interrupted run
goes on with the same command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from munet.config import Config, as_begun, completed, differences, to_json
from munet.config.evolve import BASELINES
from munet.data import uris
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.evolution.controller import Controller
from munet.progress import events
from munet.progress.events import Notify
from munet.run import setting_notes, start
from munet.run.deadline import Deadline, TimeIsUpError
from munet.run.dry_run import describe
from munet.run.grown import Grown
from munet.run.loop import Loop, announce, in_flight_folder
from munet.run.publishing import Publisher
from munet.run.setup import RunSetup, baselines
from munet.store import new_workdir
from munet.store.store import Store
from munet.system import replay, view
from munet.system.baselines import baseline_workdir
from munet.system.start_entry import read_start
from munet.system.view import RunView
from munet.text import count
from munet.training.in_flight import InFlight
from munet.vit import architecture


def evolve(config: Config, workdir: str, notify: Notify, dry_run: bool = False, arrays: Arrays = NO_ARRAYS) -> bool:
    """Starts or resumes a run, then the baselines that it is to be compared with.

    Args:
      config: validated settings.
      workdir: the run's directory; baselines run in `baselines/KIND` below it.
      notify: told everything that happens.
      dry_run: only say what would be done and how long it would take; nothing is written.
      arrays: the `memory:` tasks, by name. They are compared with those of the run, complete or not.

    Returns:
      Whether everything is complete; False: `runtime.max_hours` have passed, and the same call goes on.

    Raises:
      UserError: the input cannot be used; nothing is written then.
      EvolutionError: every child of a phase diverged.
    """

    def say(text: str) -> None:
        notify(events.Note(text))

    for text in setting_notes.notes(config):
        say(text)
    if dry_run:
        for line in describe(config, say):
            notify(events.Note(line))
        return False
    if kinds := config.runtime.compare:
        names = ", ".join(BASELINES[kind] for kind in kinds)
        say(f"The run is compared with {count(len(kinds), 'baseline')}, trained after it: {names}.")
    started, deadline = time.perf_counter(), Deadline(config.runtime.max_hours)
    places = [workdir, *(baseline_workdir(workdir, kind) for kind in config.runtime.compare)]
    try:
        for given, place in zip([config, *baselines(config)], places, strict=True):
            start_or_go_on(given, place, notify, deadline, arrays, say if given is config else None)
    except TimeIsUpError as error:
        say_time_is_up(error, deadline, time.perf_counter() - started, notify)
        return False
    return True


def say_time_is_up(error: TimeIsUpError, deadline: Deadline, seconds: float, notify: Notify) -> None:
    """Tells that a run stops before its end, and how long it was at work."""
    notify(events.Note(error.words(deadline.hours)))
    notify(events.RunEnded(is_complete=False, seconds=seconds))


def start_or_go_on(
    config: Config,
    workdir: str,
    notify: Notify,
    deadline: Deadline,
    arrays: Arrays = NO_ARRAYS,
    say: Callable[[str], None] | None = None,
) -> None:
    """Starts one run, goes on with it, or says that it is complete.

    Args:
      config: validated settings.
      workdir: the run's directory.
      notify: told everything that happens.
      deadline: until when.
      arrays: the `memory:` tasks, by name.
      say: told what the data has to say of itself; None: nobody.

    Raises:
      UserError, EvolutionError: as `evolve`.
      TimeIsUpError: the deadline has passed; what can be is saved.
    """
    one = _as_begun(config, workdir, notify)
    if not arrays and _say_if_complete(one, workdir, notify):
        return
    told = say or (lambda _: None)
    system = _extended(workdir)
    if system is None:
        run(RunSetup.prepare(one, told, arrays), workdir, notify, deadline)
        return
    start.check_same_settings(system.start, one.experiment, workdir)
    go_on(Grown.as_it_is(system, one.runtime, told, arrays), workdir, notify, deadline)


def _extended(workdir: str) -> RunView | None:
    """The run in a directory, if it was extended since it began."""
    if not len(Store.create_or_open(workdir).journal):
        return None
    system = view.open(workdir)
    return None if system.state.plan is None else system


def go_on(grown: Grown, workdir: str, notify: Notify, deadline: Deadline) -> None:
    """Goes on with a run that was extended, or is now.

    Args:
      grown: the run, checked, with the entry that its journal is to get, if any.
      workdir: its directory; or another one, new or empty, which becomes a copy of it that is extended.
      notify: told everything that happens.
      deadline: until when.

    Raises:
      WorkdirError: another process writes there, or has written since.
      TimeIsUpError: the deadline has passed; what can be is saved.
    """
    system, entry = grown.system, grown.entry
    store = Store.create_or_open(workdir)
    if entry is not None and store.path != system.store.path:
        kept, length = set(grown.state.components), system.run_state.length
        new_workdir.write(system.store, workdir, kept, {}, entry, length, with_baselines=True)
        entry = None
    with store.lock():
        if entry is not None:
            store.journal.append(entry, at=system.run_state.length)
        Loop(grown.setup, store, notify, deadline).run()


def _as_begun(config: Config, workdir: str, notify: Notify) -> Config:
    """The config with which a run that is there goes on; that of an older version does what that version did."""
    store = Store.create_or_open(workdir)
    if not len(store.journal):
        return config
    first = read_start(store)
    experiment, changed = as_begun(config.experiment, first.experiment)
    if len(first.tasks) == len(experiment.tasks):
        pairs = zip(experiment.tasks, first.tasks, strict=True)
        experiment = replace(experiment, tasks=tuple(uris.as_begun(uri, task.name) for uri, task in pairs))
    if changed:
        notify(events.Note(f"The run in {store.path} was begun before these were settings: {'; '.join(changed)}"))
    return replace(config, experiment=experiment)


def _say_if_complete(config: Config, workdir: str, notify: Notify) -> bool:
    """Whether `workdir` holds a complete run of this very config, which is said then; no data and no root are needed.

    A run of another config is left to `run`, which loads both and can tell whether only their places have changed.
    """
    store = Store.create_or_open(workdir)
    if not len(store.journal):
        return False
    first = read_start(store)
    if differences(completed(first.experiment), to_json(config.experiment)):
        return False
    controller = Controller(config.experiment, first.tasks)
    current = replay.load(controller, store)
    if not controller.is_complete(current.state):
        return False
    with store.lock():
        # What a run killed at its very end left.
        Publisher(store.components, architecture.get_variant(config.experiment.variant)).collect(current.state)
        InFlight(in_flight_folder(store), minutes=-1, note=lambda text: notify(events.Note(text))).clear()
        announce(controller, store, current, notify)
        notify(events.Note(f"The run in {store.path} is complete; nothing is left to do."))
        notify(events.RunEnded(is_complete=True, seconds=0.0))
    return True


def run(setup: RunSetup, workdir: str, notify: Notify, deadline: Deadline | None = None) -> None:
    """Starts or resumes one run and goes on until it is complete.

    Raises:
      TimeIsUpError: the deadline has passed; what can be is saved.
    """
    store = Store.create_or_open(workdir)
    with store.lock():
        if len(store.journal):
            start.check_same(read_start(store), setup.start_entry, workdir)
        Loop(setup, store, notify, deadline or Deadline()).run()
