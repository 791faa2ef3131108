"""The run loop: ask, train, commit, tell (DESIGN section 1); and how a run is started, resumed and compared.

Everything is checked before the work directory is touched. What has been committed is never lost: an interrupted run
goes on with the same command.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from munet.config import Config, as_begun, completed, differences, to_json
from munet.config.evolve import BASELINES
from munet.data import loader
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.data.tasks import Task
from munet.errors import CorruptionError
from munet.evolution import judging, schedule
from munet.evolution.controller import Controller
from munet.progress import events, wording
from munet.progress.events import Notify
from munet.report.data.describe import notes_on_classes
from munet.run import start
from munet.run.deadline import Deadline, TimeIsUpError
from munet.run.dry_run import describe
from munet.run.publishing import Publisher
from munet.run.setup import RunSetup, baselines
from munet.store.store import Store
from munet.system import replay
from munet.system.replay import RunState
from munet.training.in_flight import InFlight
from munet.training.measure import latency, trunk_fit
from munet.training.measure.evaluation import measure
from munet.training.population import Population
from munet.training.program.signature import Signature
from munet.types import (
    ChildPlan,
    GenerationEntry,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Position,
    Quality,
    SeedsEntry,
    StartEntry,
    TaskName,
)
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


def baseline_workdir(workdir: str, kind: str) -> str:
    """Where the baseline `kind` of a run is kept."""
    return f"{workdir.rstrip('/')}/baselines/{kind}"


def _as_begun(config: Config, workdir: str, notify: Notify) -> Config:
    """The config with which a run that is there goes on; that of an older version does what that version did."""
    store = Store.create_or_open(workdir)
    if not len(store.journal):
        return config
    experiment, changed = as_begun(config.experiment, _first_entry(store).experiment)
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
    first = _first_entry(store)
    if differences(completed(first.experiment), to_json(config.experiment)):
        return False
    controller = Controller(config.experiment, first.tasks)
    current = replay.load(controller, store)
    if not controller.is_complete(current.state):
        return False
    with store.lock():
        # What a run killed at its very end left.
        Publisher(store.components, architecture.get_variant(config.experiment.variant)).collect(current.state)
        _announce(config, store, current, current.image_steps, [task.name for task in first.tasks], notify)
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
            start.check_same(_first_entry(store), setup.start_entry, workdir)
        _Loop(setup, store, notify, deadline or Deadline()).run()


class _Loop:
    """One start of a run, with the lock held."""

    def __init__(self, setup: RunSetup, store: Store, notify: Notify, deadline: Deadline):
        self._deadline = deadline
        self._setup, self._store, self._notify = setup, store, notify
        self._experiment = setup.config.experiment
        self._controller = setup.controller
        self._variant = architecture.get_variant(self._experiment.variant)
        self._publisher = Publisher(store.components, self._variant)
        minutes = setup.config.runtime.checkpoint_minutes
        # There in any case: an earlier start may have saved what is to be cleared.
        self._in_flight = InFlight(
            f"{store.path}/in_flight",
            minutes,
            note=lambda text: notify(events.Note(text)),
            is_last=self._is_last_cycle,
        )
        saves = self._in_flight if minutes >= 0 else None
        self._is_last = False
        self._population = Population(setup.config, setup.layout, self._publisher.load, saves)

    def run(self) -> None:
        """From wherever the journal is to the end."""
        started = time.perf_counter()
        current = self._begin()
        names = [task.info.name for task in self._setup.tasks]
        _announce(self._setup.config, self._store, current, self._setup.total_image_steps, names, self._notify)
        try:
            self._go_on(current)
        finally:
            self._in_flight.wait()  # an interrupted run leaves a whole save behind, not half of one
        self._notify(events.RunEnded(is_complete=True, seconds=time.perf_counter() - started))

    def _go_on(self, current: RunState) -> None:
        """Generation by generation, phase by phase, until the run is complete."""
        announced = None
        while not self._controller.is_complete(current.state):
            self._deadline.check()
            position = current.state.position
            task = self._setup.tasks[position.task_index]
            if announced != (position.task_iteration, position.task_index):
                announced = (position.task_iteration, position.task_index)
                self._release_others(task)
                self._notify(events.PhaseStarted(task.info, position))
                for note in notes_on_classes(task) if position == Position(0, position.task_index, 0) else ():
                    self._notify(events.Note(note))
            if self._controller.is_phase_over(current.state):
                current = self._close_phase(current, task)
            elif candidates := self._controller.seed_candidates(current.state):
                current = self._choose_seeds(current, task, candidates)
            else:
                current = self._generation(current, task)

    def _begin(self) -> RunState:
        """Writes the first entry of a new run, or replays an old one."""
        journal, entry = self._store.journal, self._setup.start_entry
        if not len(journal):
            self._setup.root.put(self._store.components)
            entry = replace(entry, root=replace(entry.root, latency=latency.of_root(self._experiment)))
            journal.append(entry)
            return replay.fold(self._controller, None, entry)
        for note in start.notes_on_layout(_first_entry(self._store), entry):
            self._notify(events.Note(note))
        current = replay.load(self._controller, self._store)
        if current.state.position.generation == 0:
            self._publisher.collect(current.state)  # what a run killed between two phases left
        return current

    def _release_others(self, active: Task) -> None:
        """Keeps the decoded images of the active task only."""
        for task in self._setup.tasks:
            if task is not active:
                task.release()

    def _is_last_cycle(self) -> bool:
        """Asked once a cycle, when it is about to be saved: then it must be, and the run ends after it."""
        self._is_last = self._deadline.is_over()
        return self._is_last

    def _cycle_ended(self, cycle: int, qualities: Mapping[ModelId, Quality], image_steps: int, seconds: float) -> None:
        """Tells it, and ends the run if its time is up.

        Where generations are not saved inside, `_go_on` does so after the generation.
        """
        self._notify(events.CycleEnded(cycle, qualities, image_steps, seconds))
        if self._is_last:
            raise TimeIsUpError

    def _choose_seeds(self, current: RunState, task: Task, candidates: Sequence[ChildPlan]) -> RunState:
        """Measures how well the candidates fit the task; once committed, that is never measured again."""
        started = time.perf_counter()
        position = current.state.position
        fits = trunk_fit.measure(self._experiment, candidates, task, position, self._publisher.read)
        current = self._commit(current, SeedsEntry(position, task.info.name, fits))
        text = wording.describe_seeds(current.state.seeds, fits, time.perf_counter() - started)
        self._notify(events.Note(text))
        return current

    def _generation(self, current: RunState, task: Task) -> RunState:
        """One generation: proposed, trained, judged and committed."""
        started = time.perf_counter()
        state, experiment = current.state, self._experiment
        plan = self._controller.ask(state)
        known = [Signature.parse(program) for program in current.programs]
        self._notify(
            events.GenerationStarted(
                plan,
                batch_size=loader.effective_batch_size(task.info.num_train, experiment),
                steps_per_cycle=loader.steps_per_cycle(task.info.num_train, experiment),
                num_programs=self._population.num_programs(plan, task, known),
            )
        )
        latencies = latency.of_children(experiment, plan.children, task.info.num_classes, current.latencies)
        trained = self._population.train(plan, task, known, self._cycle_ended)
        verdicts = self._controller.judge(state, plan, {id: child.training for id, child in trained.items()}, latencies)
        entry = self._publisher.generation_entry(state, plan, trained, verdicts, task.info.num_classes, latencies)
        current = self._commit(current, entry)
        self._in_flight.clear()
        self._notify(events.GenerationEnded(entry, time.perf_counter() - started))
        return current

    def _close_phase(self, current: RunState, task: Task) -> RunState:
        """Tests the best model of the phase, drops the others, and keeps a snapshot where one is due."""
        self._in_flight.clear()  # here too: the run may have been killed before it did so after a generation
        best = self._controller.best(current.state)
        measure_on = partial(
            measure,
            self._experiment,
            {name: self._publisher.load(identity) for name, identity in best.components.items()},
            best.hyperparameters,
            num_classes=task.info.num_classes,
        )
        with task.testing():
            test = measure_on(task.split("test"))
        self._check_unchanged(best, test.quality)
        most = loader.num_validated(task.info.num_validation, self._experiment)
        validation = measure_on(task.split("validation"), max_images=most)
        entry = PhaseEntry(
            current.state.position,
            task.info.name,
            best.id,
            test.quality,
            test.correct_per_class,
            test.counted_per_class,
            test.confusions,
            validation.correct_per_class,
            validation.counted_per_class,
            validation.confusions,
        )
        before, current = current.state, self._commit(current, entry)
        state = current.state
        current = replay.save_snapshot(current, self._store, is_last=self._controller.is_complete(state))
        self._publisher.collect(state, before)
        ids = best.components.values()
        self._notify(
            events.PhaseEnded(
                entry,
                state.models[best.id],
                params=sum(state.components[identity].num_params for identity in ids),
                accounted_params=judging.accounted_params(state, ids, task.info.name),
            )
        )
        return current

    def _check_unchanged(self, model: ModelRecord, measured: Quality) -> None:
        """The immutability check: a model that was tested in an earlier iteration gets the same images right today.

        Raises:
          CorruptionError: it does not, on the devices and software that the run began with.
        """
        before = model.test_quality
        if before is None or before == measured:
            return
        text = (
            f"Model {model.id} of task {model.task!r} gets {measured.correct} of {measured.counted} test images right, "
            f"but {before.correct} of {before.counted} when it was retained."
        )
        if start.notes_on_layout(_first_entry(self._store), self._setup.start_entry):
            self._notify(events.Note(f"{text} The run has changed devices or software, where a few images may differ."))
            return
        raise CorruptionError(
            f"{text} Published components never change, so a stored file, the data or a device is at fault: "
            f"`munet verify {self._store.path}` checks every file. Nothing was written."
        )

    def _commit(self, current: RunState, entry: SeedsEntry | GenerationEntry | PhaseEntry) -> RunState:
        after = replay.fold(self._controller, current, entry)  # an entry that does not fold is never written
        self._store.journal.append(entry)
        return after


def _announce(
    config: Config, store: Store, current: RunState, image_steps: int, names: Sequence[TaskName], notify: Notify
) -> None:
    experiment = config.experiment
    notify(
        events.RunStarted(
            workdir=store.path,
            task_names=tuple(names),
            num_task_iterations=schedule.num_task_iterations(experiment),
            num_generations=schedule.num_generations(experiment),
            children_per_generation=experiment.children_per_generation,
            cycles_per_child=schedule.cycles_per_child(experiment),
            generations_done=current.generations,
            image_steps_done=current.image_steps,
            image_steps_total=image_steps,
            title=f"baseline: {BASELINES[kind]}" if (kind := experiment.baseline.kind) else "",
        )
    )


def _first_entry(store: Store) -> StartEntry:
    return cast(StartEntry, next(store.journal.entries()))
