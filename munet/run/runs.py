"""A run and the baselines that it is compared with: how each is started, gone on with, or found complete.

Everything is checked before the work directory is touched. What has been committed is never lost: an interrupted run
goes on with the same command.
"""

from __future__ import annotations

import time
from dataclasses import replace

from munet.config import Config, Experiment, as_begun, completed, differences, to_json
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.evolution.controller import Controller
from munet.progress import events
from munet.progress.events import Notify
from munet.run import start
from munet.run.deadline import Deadline, TimeIsUpError
from munet.run.dry_run import describe
from munet.run.loop import Loop, announce, in_flight_folder
from munet.run.publishing import Publisher
from munet.run.setup import RunSetup, baselines
from munet.store.store import Store
from munet.system import replay
from munet.system.view import baseline_workdir, read_start
from munet.training.in_flight import InFlight
from munet.vit import architecture

PAPER = Experiment()  # whose phases have no stages


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

    if config.experiment.stages and (ignored := ignored_sizes(config.experiment)):
        say(
            f"{' and '.join(ignored)} say nothing here: experiment.stages are the phase (--config=base:paper has none)."
        )
    if dry_run:
        for line in describe(config, say):
            notify(events.Note(line))
        return False
    started, deadline = time.perf_counter(), Deadline(config.runtime.max_hours)
    places = [workdir, *(baseline_workdir(workdir, kind) for kind in config.runtime.compare)]
    try:
        for given, place in zip([config, *baselines(config)], places, strict=True):
            one = _as_begun(given, place, notify)
            if arrays or not _say_if_complete(one, place, notify):
                told = say if given is config else lambda _: None  # the data's notes once
                run(RunSetup.prepare(one, told, arrays), place, notify, deadline)
    except TimeIsUpError:
        say(f"runtime.max_hours = {deadline.hours:g} have passed. Everything is saved; the same command goes on.")
        notify(events.RunEnded(is_complete=False, seconds=time.perf_counter() - started))
        return False
    return True


def ignored_sizes(experiment: Experiment) -> list[str]:
    """Settings of the paper's phases that were changed beside stages, which take their place."""
    names = ("num_generations", "cycles_per_child")
    return [
        f"experiment.{name} = {value}" for name in names if (value := getattr(experiment, name)) != getattr(PAPER, name)
    ]


def _as_begun(config: Config, workdir: str, notify: Notify) -> Config:
    """The config with which a run that is there goes on; that of an older version does what that version did."""
    store = Store.create_or_open(workdir)
    if not len(store.journal):
        return config
    experiment, changed = as_begun(config.experiment, read_start(store).experiment)
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
        announce(config, store, current, current.image_steps, [task.name for task in first.tasks], notify)
        notify(events.Note(f"The run in {store.path} is complete; nothing is left to do."))
        notify(events.RunEnded(is_complete=True, seconds=0.0))
    return True


def run(setup: RunSetup, workdir: str, notify: Notify, deadline: Deadline | None = None) -> None:
    """Starts or resumes one run and goes on until it is complete.

    Raises:
      TimeIsUpError: the deadline has passed; everything is saved.
    """
    store = Store.create_or_open(workdir)
    with store.lock():
        if len(store.journal):
            start.check_same(read_start(store), setup.start_entry, workdir)
        Loop(setup, store, notify, deadline or Deadline()).run()
