"""`munet train` and `munet pretrain`: how a joint training is started, gone on with and finished, whatever its method.

Everything is checked before the work directory is touched. Killed at any moment, the same command goes on from the last
saved state and ends, on one layout, bit for bit as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from munet import kinds
from munet.config.differences import to_json
from munet.data.tasks import Task
from munet.joint import dry_run, memory
from munet.joint.beginning import check_same, experiment_differences
from munet.joint.held_out import Measured, predict
from munet.joint.job import Job
from munet.joint.learner import Component, Facts
from munet.joint.loop import Trained, Training
from munet.joint.records import CurvePoint
from munet.joint.saving import JointSaves
from munet.joint.workdir import Workdir
from munet.kinds import JointConfig
from munet.progress import events
from munet.progress.events import Notify
from munet.run import start
from munet.run.deadline import Deadline, TimeIsUpError
from munet.training.measure.evaluation import Measurement, count
from munet.types import TaskName

METRIC = "accuracy"  # of test splits


@dataclass(frozen=True)
class Finished:
    """A training at its end, for whoever makes files of it.

    Attributes:
      job: what was trained on what.
      components, facts, test: of each replica; `test` was measured this once.
      states, best_states: of each replica, on the host, where a job measures all tasks at once (`Job.measure_all`):
        after all rounds, and the best version; `components` and `facts` are of the former then.
      measured, best_measured: their tests; there is no `test` then.
      command: that did this, for a root's card.
      points: the curve, of all replicas.
      seconds: all starts together.
    """

    job: Job
    components: tuple[tuple[Component, ...], ...]
    facts: tuple[Mapping[TaskName, Facts], ...]
    test: tuple[Mapping[TaskName, Measurement], ...]
    points: tuple[CurvePoint, ...]
    seconds: float
    states: tuple[Any, ...] = ()
    best_states: tuple[Any, ...] = ()
    measured: tuple[Mapping[TaskName, Measured], ...] = ()
    best_measured: tuple[Mapping[TaskName, Measured], ...] = ()
    command: str = ""


def train(config: JointConfig, workdir: str, notify: Notify, *, command: str = "", is_dry_run: bool = False) -> bool:
    """Trains several tasks together, or goes on where training was interrupted.

    Args:
      config: validated settings; their class says which method.
      workdir: where everything is kept.
      notify: told everything that happens.
      command: what does this, for a root's card.
      is_dry_run: only tell what would be done and how long it would take; nothing is written.

    Returns:
      Whether it is complete; False: `runtime.max_hours` have passed, and the same call goes on.

    Raises:
      UserError: the input cannot be used; nothing is written then.
      DivergedError: a loss is no longer finite.
    """

    def say(text: str) -> None:
        notify(events.Note(text))

    if is_dry_run:
        for line in dry_run.describe(prepared(config, notify), say):
            say(line)
        return False
    started, deadline = time.monotonic(), Deadline(config.runtime.max_hours)
    place = Workdir(workdir, kinds.of(config))
    if _is_complete(config, place, notify):
        return True
    job = prepared(config, notify)
    with place.lock():
        _begin_or_resume(job, place, notify)
        saving = JointSaves(place.in_training, job.free.checkpoint_minutes, say)
        result = place.result()  # there if only the data's places have changed
        if result is None:
            say(job.words.headline)
            try:
                trained = Training(job, place, saving, notify, deadline).run()
            except TimeIsUpError as error:
                say(error.words(deadline.hours))
                notify(events.TrainingEnded(is_complete=False, seconds=time.monotonic() - started))
                return False
            result = job.publish(place, _finished(job, trained, command))
        _tell(result, place, notify)
        saving.clear()
        notify(events.TrainingEnded(is_complete=True, seconds=time.monotonic() - started))
    return True


def describe(config: JointConfig) -> list[str]:
    """What a dry run says."""
    return list(dry_run.describe(prepared(config)))


def prepared(config: JointConfig, notify: Notify = lambda _: None) -> Job:
    """The training of some settings, checked and ready.

    Raises:
      UserError: the input cannot be used.
    """
    job: Job = kinds.of(config).trained.prepare()(config, lambda text: notify(events.Note(text)))
    memory.check_replicas(job)
    return job


def _is_complete(config: JointConfig, place: Workdir, notify: Notify) -> bool:
    """Whether a training of this very recipe is complete, which is said then; its data are not needed."""
    beginning, experiment = place.beginning(), to_json(config.experiment)
    if beginning is None or any(
        beginning.experiment.get(name) != experiment[name] for name in ("tasks", "root") if name in experiment
    ):
        return False
    if experiment_differences(beginning.experiment, experiment, place.kind) or (result := place.result()) is None:
        return False
    with place.lock():
        # What a start that was killed at its very end left; below 0, for nothing is to be saved.
        JointSaves(place.in_training, -1, lambda _: None).clear()
    notify(events.Note(f"The training in {place.path} is complete; nothing is left to do."))
    _tell(result, place, notify)
    return True


def _begin_or_resume(job: Job, place: Workdir, notify: Notify) -> None:
    """Writes what the training begins with, or compares it with what is there.

    Raises:
      WorkdirError: another recipe, or other data.
    """
    found, wanted = place.beginning(), job.beginning
    if found is None:
        place.begin(wanted)
        return
    check_same(found, wanted, place.kind, place.path)
    for note in start.notes_on_layout(found, wanted):
        notify(events.Note(note))


def _finished(job: Job, trained: Trained, command: str) -> Finished:
    """Measures the test splits, this once, and asks the learner what there is to publish."""
    replicas = trained.programs.taken(trained.state if job.measure_all is None else trained.last)
    components = tuple(job.learner.components(state) for state in replicas)
    facts = tuple(job.learner.facts(state) for state in replicas)
    if job.measure_all is not None:
        best = trained.last if trained.best is None else trained.best
        with contextlib.ExitStack() as stack:
            for task in job.tasks:
                stack.enter_context(task.testing())
            found = [job.measure_all(trained.programs, state, "test") for state in (trained.last, best)]
        measured, best_measured = (
            tuple({name: own[replica] for name, own in one.items()} for replica in range(len(replicas)))
            for one in found
        )
        best_states = tuple(trained.programs.taken(best))
        return Finished(
            job, components, facts, (), trained.points, trained.seconds, tuple(replicas), best_states, measured,
            best_measured, command,
        )  # fmt: skip
    tests = [_tested(job, trained, task, components, facts) for task in job.tasks]
    return Finished(
        job,
        components,
        facts,
        tuple(
            {task.info.name: found[replica] for task, found in zip(job.tasks, tests, strict=True)}
            for replica in range(len(replicas))
        ),
        trained.points,
        trained.seconds,
        command=command,
    )


def _tested(
    job: Job,
    trained: Trained,
    task: Task,
    components: Sequence[tuple[Component, ...]],
    facts: Sequence[Mapping[TaskName, Facts]],
) -> list[Measurement]:
    """What a task's models of all replicas get right of its test split."""
    name = task.info.name
    with task.testing():
        if job.measure_test is not None:
            own = [{part.name: part.arrays for part in parts if name in part.tasks} for parts in components]
            costs = [one[name] for one in facts]
            found = [job.measure_test(task, model, cost) for model, cost in zip(own, costs, strict=True)]
        else:
            split = job.tested(task)
            predicted = predict(trained.programs, trained.state, name, split, job.resize[name])
            # Of classes that are numbered through those of all tasks, as many as are there or were taken for one.
            most = 1 + max(int(split.labels.max()), *(int(one.classes.max()) for one in predicted))
            found = [count(one.classes, split.labels, num_classes=most, metric=METRIC) for one in predicted]
    task.release()
    return found


def _tell(result: Any, place: Workdir, notify: Notify) -> None:
    what, file = result.kept
    for line in (*result.lines(), f"{what}: {place.location(file)}"):
        notify(events.Note(line))
