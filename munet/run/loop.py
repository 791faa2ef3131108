"""The run loop: ask, train, judge, publish, tell."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from munet.config.evolve import BASELINES
from munet.data.class_notes import notes_on_classes
from munet.data.range_notes import notes_on_range
from munet.data.tasks import Task
from munet.errors import CorruptionError
from munet.evolution import judging, schedule
from munet.evolution.controller import Controller
from munet.progress import events, wording
from munet.progress.events import Notify
from munet.run import start
from munet.run.compressing import compressed
from munet.run.deadline import Deadline, TimeIsUpError
from munet.run.publishing import Publisher
from munet.run.setup import RunSetup
from munet.stopping import Signals
from munet.store.store import Store
from munet.system import replay
from munet.system.replay import RunState
from munet.system.start_entry import read_start
from munet.training.in_flight import InFlight
from munet.training.measure import latency, trunk_fit
from munet.training.measure.evaluation import measure, measure_validation, phase_entry
from munet.training.placement.chunks import Placed
from munet.training.population import Population
from munet.training.trainer import TrainedChild, Trainer
from munet.training.work import TaskWork
from munet.types import (
    ChildPlan,
    GenerationEntry,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Position,
    Quality,
    SeedsEntry,
)
from munet.vit import architecture


class Loop:
    """One start of a run, with the lock held."""

    def __init__(self, setup: RunSetup, store: Store, notify: Notify, deadline: Deadline):
        self._deadline = deadline
        self._setup, self._store, self._notify = setup, store, notify
        self._experiment = setup.config.experiment
        self._controller = setup.controller
        infos = [task.info for task in setup.tasks]
        self._publisher = Publisher(store.components, architecture.get_variant(self._experiment.variant), infos)
        minutes = setup.config.runtime.checkpoint_minutes
        self._signals = Signals()
        # There in any case: an earlier start may have saved what is to be cleared.
        self._in_flight = InFlight(
            in_flight_folder(store),
            minutes,
            note=lambda text: notify(events.Note(text)),
            is_last=self._is_last_cycle,
            signals=self._signals,
        )
        self._is_saved = minutes >= 0
        saves = self._in_flight if self._is_saved else None
        self._is_last = False
        self._tasks = {task.info.name: task for task in setup.tasks}
        self._trainer: Trainer = Population(setup.config, setup.layout, self._tasks, self._publisher.load, saves)

    def run(self) -> None:
        """From wherever the journal is to the end."""
        started = time.perf_counter()
        current = self._begin()
        announce(self._controller, self._store, current, self._notify)
        try:
            while not self._controller.is_complete(current.state):
                current = self._phase(current)
        except (CorruptionError, OSError):
            self._store.check_held()  # files are not missing where the directory is gone: that is said instead
            raise
        finally:
            self._in_flight.wait()  # an interrupted run leaves a whole save behind, not half of one
        self._in_flight.clear()  # nothing is in training: what a save that failed left behind goes too
        self._notify(events.RunEnded(is_complete=True, seconds=time.perf_counter() - started))

    def _begin(self) -> RunState:
        """Writes the first entry of a new run, or replays an old one."""
        journal, root = self._store.journal, self._setup.root
        if not len(journal) and root is not None:
            root.put(self._store.components)
            entry = self._setup.start_entry
            entry = replace(entry, root=replace(entry.root, latency=latency.of_root(self._experiment)))
            journal.append(entry, at=0)
            return replay.tell(self._controller, None, entry)
        for note in start.notes_on_layout(read_start(self._store), self._setup.environment):
            self._notify(events.Note(note))
        current = replay.load(self._controller, self._store)
        if current.state.position.generation == 0:
            self._publisher.collect(current.state)  # what a run killed between two phases left
        return current

    def _phase(self, current: RunState) -> RunState:
        """One phase, from wherever it is to its end."""
        position = current.state.position
        task = self._tasks[self._controller.task(current.state).name]
        work = TaskWork.of(self._controller.experiment_at(current.state), task.info)
        self._deadline.check()
        for other in self._tasks.values():  # only the active task's decoded images are kept
            if other is not task:
                other.release()
        self._notify(events.PhaseStarted(task.info, position))
        if position == Position(0, position.task_index, 0):
            for note in (*notes_on_classes(task), *notes_on_range(task)):
                self._notify(events.Note(note))
        while not self._controller.is_phase_over(current.state):
            if candidates := self._controller.seed_candidates(current.state):
                current = self._choose_seeds(current, task, work, candidates)
            elif self._controller.stage(current.state).trains:
                current = self._generation(current, work)
            else:
                current = self._compress(current, task, work)
            self._deadline.check()
        return self._close_phase(current, task, work)

    def _choose_seeds(self, current: RunState, task: Task, work: TaskWork, candidates: Sequence[ChildPlan]) -> RunState:
        """Measures how well the candidates fit the task; once committed, that is never measured again."""
        started = time.perf_counter()
        position = current.state.position
        fits, images = trunk_fit.measure(work, candidates, task, position, self._publisher.read)
        current = self._commit(current, SeedsEntry(position, task.info.name, fits, schedule.as_images(images)))
        text = wording.describe_seeds(current.state.seeds, fits, time.perf_counter() - started)
        self._notify(events.Note(text))
        return current

    def _generation(self, current: RunState, work: TaskWork) -> RunState:
        """One generation: proposed, trained, judged and committed."""
        started = time.perf_counter()
        plan = self._controller.ask(current.state)
        work = work.of_stage(self._controller.stage(current.state), self._controller.cycles(current.state))
        placed = self._trainer.plan(plan, work, current.programs)
        sizes = (work.batch_size, work.steps_per_cycle, placed.num_programs, work.num_cycles)
        self._notify(events.GenerationStarted(plan, *sizes))
        with self._signals.held() if self._is_saved else nullcontext():  # saved first; if all is trained: committed
            results = self._trained(placed, current)
            verdicts = self._controller.judge(current.state, plan, results)
            self._store.check_held()
            entry = self._publisher.publish(current.state, plan, results, verdicts)
            current = self._commit(current, entry)
        self._in_flight.clear()
        self._notify(events.GenerationEnded(entry, time.perf_counter() - started))
        return current

    def _compress(self, current: RunState, task: Task, work: TaskWork) -> RunState:
        """A generation of one child, its parent with layers in low rank: found, judged and committed."""
        started = time.perf_counter()
        state, tolerance = current.state, self._controller.experiment_at(current.state).compression_tolerance
        plan = self._controller.ask(state)
        (child,) = plan.children
        self._notify(
            events.Note(f"  choosing the layers of {wording.model_name(child.parent)} to store in low rank ...")
        )
        result = compressed(state, child, work, task, self._publisher.load, tolerance)
        verdict = self._controller.judge(state, plan, {child.id: result})[child.id]
        self._store.check_held()
        entry = self._publisher.publish_compressed(plan, result, verdict, time.perf_counter() - started)
        current = self._commit(current, entry)
        self._notify(events.GenerationEnded(entry, time.perf_counter() - started))
        return current

    def _trained(self, placed: Placed, current: RunState) -> dict[ModelId, TrainedChild]:
        """Trains a generation; where the score counts latency, that was measured before, with nothing else at work."""
        if self._experiment.latency_factor == 1:
            return self._trainer.train(placed, self._cycle_ended, self._compiled)
        with self._signals.let_through():
            latencies = latency.of_children(self._experiment, placed, current.latencies)
        results = self._trainer.train(placed, self._cycle_ended, self._compiled)
        return {child: replace(result, latency=latencies[child]) for child, result in results.items()}

    def _is_last_cycle(self) -> bool:
        """Asked once a cycle, when it is about to be saved: then it must be, and the run ends after it."""
        self._store.check_held()  # or hours would be trained for a directory that is gone
        self._is_last = self._deadline.is_over()
        return self._is_last

    def _compiled(self, done: int, total: int) -> None:
        self._notify(events.Compiling(done, total))

    def _cycle_ended(self, cycle: int, qualities: Mapping[ModelId, Quality], image_steps: int, seconds: float) -> None:
        """Tells it, and ends the run if its time is up.

        Where generations are not saved inside, `_phase` does so after the generation.
        """
        self._store.check_held()
        self._notify(events.CycleEnded(cycle, qualities, image_steps, seconds))
        if self._is_last:
            self._in_flight.wait()
            raise TimeIsUpError(is_saved=not self._in_flight.has_failed)

    def _close_phase(self, current: RunState, task: Task, work: TaskWork) -> RunState:
        """Tests the best model of the phase, drops the others, and keeps a snapshot where one is due."""
        self._in_flight.clear()  # here too: the run may have been killed before it did so after a generation
        best = self._controller.best(current.state)
        components = {name: self._publisher.load(identity) for name, identity in best.components.items()}
        with task.testing():
            test = measure(work, components, best.hyperparameters, task.split("test"))
        self._check_unchanged(best, test.quality)
        validation = measure_validation(work, task, components, best.hyperparameters)
        entry = phase_entry(current.state.position, task.info.name, best.id, test, validation)
        before, current = current.state, self._commit(current, entry)
        state = current.state
        current = replay.save_snapshot(current, self._store, is_last=self._controller.is_complete(state))
        self._publisher.collect(state, before)
        retained = state.models[best.id]
        self._notify(
            events.PhaseEnded(
                entry,
                retained,
                params=sum(state.components[identity].num_params for identity in state.used_by(retained)),
                accounted_params=judging.accounted_params(state, retained.components.values(), task.info.name),
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
        if start.notes_on_layout(read_start(self._store), self._setup.environment):
            self._notify(events.Note(f"{text} The run has changed devices or software, where a few images may differ."))
            return
        raise CorruptionError(
            f"{text} Published components never change, so a stored file, the data or a device is at fault: "
            f"`munet verify {self._store.path}` checks every file. Nothing was written."
        )

    def _commit(self, current: RunState, entry: SeedsEntry | GenerationEntry | PhaseEntry) -> RunState:
        """Tells the entry, then appends it: what the state refuses is never written."""
        after = replay.tell(self._controller, current, entry)
        self._store.journal.append(entry, at=current.length)
        return after


def in_flight_folder(store: Store) -> str:
    """Where a run saves the generation in training."""
    return f"{store.path}/in_flight"


def announce(controller: Controller, store: Store, current: RunState, notify: Notify) -> None:
    """Tells what a start of a run goes on with, or finds complete."""
    plan, settings = controller.plan(current.state), controller.settings(current.state)
    kind = settings.experiment.baseline.kind
    notify(
        events.RunStarted(
            workdir=store.path,
            task_names=tuple(task.name for task in plan.living),
            num_task_iterations=plan.end.task_iteration,
            num_generations=len(settings.stages),
            stages=tuple(map(str, settings.stages)),
            generations_done=current.generations,
            image_steps_done=current.image_steps,
            image_steps_total=current.image_steps if controller.is_complete(current.state) else plan.images(),
            title=f"baseline: {BASELINES[kind]}" if kind else "",
        )
    )
