"""What a run's work directory says of its multitask system, for reading, also while the run goes on.

A view is the journal folded, at the moment of opening; opening again shows what has happened since. Nothing here
writes or needs JAX. Reports read a view; `munet.open` makes of it the `System` that predicts and draws itself
(`system.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool

from munet import right_images
from munet.config import Experiment
from munet.errors import CorruptionError, UserError, nearest
from munet.evolution import judging
from munet.evolution.controller import Controller
from munet.evolution.plan import Plan
from munet.evolution.state import State
from munet.store import Store
from munet.system import gone_on, past_entries, replay, sound
from munet.system.joint_record import JointRecord
from munet.system.replay import RunState
from munet.system.start_entry import read_experiment, read_start
from munet.types import (
    ComponentId,
    ComponentName,
    ComponentRecord,
    ModelId,
    ModelRecord,
    PhaseEntry,
    Position,
    StartEntry,
    TaskInfo,
    TaskName,
)
from munet.vit import architecture, flops


@dataclass(frozen=True, repr=False)
class RunView:
    """The retained models of a run and the components they share.

    Attributes:
      store: where the components are.
      start: the journal's first entry: tasks, configuration, versions.
      run_state: the journal folded.
      joint: of a joint training, which has no journal: start and state are made from its result.
    """

    store: Store = field(repr=False)
    start: StartEntry = field(repr=False)
    run_state: RunState = field(repr=False)
    joint: JointRecord | None = None

    @property
    def ledger(self) -> RunState:
        """The name that `run_state` had until version 0.3."""
        return self.run_state

    @property
    def workdir(self) -> str:
        """The run's directory or URL."""
        return self.store.path

    @cached_property
    def experiment(self) -> Experiment:
        """The configuration that decides the result, as the run began with it."""
        return read_experiment(self.start)

    @property
    def plan(self) -> Plan:
        """Every phase that the run has had and is to have, and its settings."""
        return self.controller.plan(self.state)

    @cached_property
    def controller(self) -> Controller:
        """The controller of the run's search, which judges its models."""
        return Controller(self.experiment, self.start.tasks)

    @property
    def state(self) -> State:
        """The controller's state after the journal's last entry."""
        return self.run_state.state

    @property
    def tasks(self) -> tuple[TaskInfo, ...]:
        """All tasks of the run in order, solved or not; those that it has forgotten are not among them."""
        return self.plan.living

    @property
    def every_task(self) -> tuple[TaskInfo, ...]:
        """All tasks that the run ever had, in order; of several of one name the newest."""
        return self.plan.every_task

    @cached_property
    def models(self) -> dict[TaskName, ModelRecord]:
        """The retained model of every task that has one, in the order of the tasks."""
        retained = self.state.retained
        return {info.name: self.state.models[retained[info.name]] for info in self.tasks if info.name in retained}

    @property
    def root(self) -> ModelRecord:
        """The record of the root model, from which all others descend."""
        return self.state.root

    @cached_property
    def components(self) -> dict[ComponentId, ComponentRecord]:
        """The components that retained models use, each once, bases too; the root's only where they are used.

        Of tasks that the run has forgotten their records say so: `digits (forgotten)`.
        """
        used = {id: self.state.components[id] for model in self.models.values() for id in self.state.used_by(model)}
        if not self.plan.forgotten:
            return used
        return {id: replace(record, cycles=self.plan.cycles(record)) for id, record in used.items()}

    @property
    def position(self) -> Position:
        """Where the run stands."""
        return self.state.position

    @property
    def is_complete(self) -> bool:
        """Whether every phase is closed."""
        return self.controller.is_complete(self.state)

    @property
    def active_task(self) -> TaskName | None:
        """The task whose phase is open; None when the run is complete."""
        return None if self.is_complete else self.controller.task(self.state).name

    @property
    def num_generations(self) -> int:
        """Generations of the whole run."""
        return self.plan.num_generations()

    @property
    def total_params(self) -> int:
        """Unique parameters in use by retained models."""
        return judging.total_params(self.state)

    @cached_property
    def trainable_params(self) -> int:
        """Of those the ones that are not the root's: trained in this run, and by nobody else."""
        return sum(record.num_params for record in self.components.values() if not record.is_root)

    @property
    def params_per_task(self) -> float:
        """Unique parameters in use / tasks with a model."""
        return judging.params_per_task(self.state)

    def model(self, task: TaskName) -> ModelRecord:
        """The retained model of a task.

        Raises:
          UserError: no such task, or it is not solved yet; the message names the nearest.
        """
        if task in self.models:
            return self.models[task]
        if task in self._places:
            waits = "training" if self.joint else "its first phase"
            raise UserError(f"Task {task!r} has no model yet: {waits} has not ended. Solved: {_list(self.models)}.")
        raise UserError(self._no_task(task))

    def task(self, task: TaskName) -> TaskInfo:
        """The description of a task.

        Raises:
          UserError: no such task; the message names the nearest.
        """
        if task in self._places:
            return self.tasks[self._places[task]]
        raise UserError(self._no_task(task))

    def _no_task(self, task: TaskName) -> str:
        if task in self.forgotten:
            return f"The task {task!r} of {self.workdir} was forgotten (`munet forget`); its model is gone."
        return f"There is no task {task!r} in {self.workdir}. {nearest(task, [t.name for t in self.tasks])}"

    @property
    def forgotten(self) -> tuple[TaskName, ...]:
        """Names of tasks that the run has no more, in the order in which they were forgotten."""
        return tuple(self.plan.tasks[one.task_index].name for one in self.plan.forgotten)

    def score(self, task: TaskName) -> float:
        """Eq. 2 of a task's model in the system as it is now."""
        return self.controller.score(self.state, self.model(task))

    def params(self, task: TaskName) -> int:
        """Parameters of a task's model, shared or not, those of bases too."""
        return sum(self.components[id].num_params for id in self.state.used_by(self.model(task)))

    def trainable_params_of(self, task: TaskName) -> int:
        """Of these the ones that are not the root's: trained on this task, or on one that shares them."""
        used = (self.components[id] for id in self.state.used_by(self.model(task)))
        return sum(record.num_params for record in used if not record.is_root)

    def accounted_params(self, task: TaskName) -> float:
        """Eq. 3: a task's model with every parameter divided among the models that use it."""
        return judging.accounted_params(self.state, self.model(task).components.values(), task)

    def flops(self, task: TaskName) -> int:
        """Floating-point operations of a forward pass of a task's model on one image; see `munet.vit.flops.forward`."""
        model, variant = self.model(task), architecture.get_variant(self.experiment.variant)
        return flops.forward(variant, model.components, model.hyperparameters, self.task(task).num_classes)

    def shared_with(self, task: TaskName) -> dict[TaskName, int]:
        """Other tasks that use components of this task's model, with how many; the root's do not count."""
        own = [id for id in self.state.used_by(self.model(task)) if not self.components[id].is_root]
        counts = Counter(other for id in own for other in self._users[id] if other != task)
        return {other: counts[other] for other in sorted(counts, key=self._places.__getitem__)}

    def lineage(self, task: TaskName) -> list[ModelId]:
        """The task's model, its nearest retained ancestor, and so on up to the root's 0."""
        return [model.id for model in self.state.lineage(self.model(task).id)]

    def last_phase(self, task: TaskName) -> PhaseEntry:
        """The journal's entry that closed the last closed phase of a task, with the counts by class of its model.

        Of a model that was compressed since, what was measured then.

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: the entry is damaged.
        """
        self.model(task)  # else there is none
        if self.joint is not None:
            return self.joint.closed[task]
        entry = past_entries.measured(self.store.journal, self.run_state.measured_at[task], task, self.workdir)
        sound.check_phase(entry, self.task(task).num_classes)  # it may be older than the snapshot that was folded from
        return entry

    def test_right(self, task: TaskName) -> Bool[np.ndarray, " images"] | None:
        """Which test images a task's model has right, class by class; None where it was not recorded (older journals).

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: the entry is damaged.
        """
        entry = self.last_phase(task)
        return right_images.unpack(entry.test_right, entry.test_quality.counted) if entry.test_right else None

    @cached_property
    def _places(self) -> dict[TaskName, int]:
        """Where each task stands in the run's order."""
        return {info.name: place for place, info in enumerate(self.tasks)}

    @cached_property
    def _users(self) -> dict[ComponentId, list[TaskName]]:
        """The tasks whose models use each component."""
        users: dict[ComponentId, list[TaskName]] = {}
        for task, model in self.models.items():
            for id in self.state.used_by(model):
                users.setdefault(id, []).append(task)
        return users

    def users(self, component: ComponentId) -> tuple[TaskName, ...]:
        """The tasks whose models use a component, also as the base of another, in order."""
        return tuple(self._users.get(component, ()))

    def trained_last(self, component: ComponentId) -> TaskName | None:
        """The task that trained a component last; None for one that still is the root's."""
        record = self.state.components[component]
        if len(record.cycles) <= 1 or self.joint is not None:
            last = next(iter(record.cycles), None)
        else:
            creator = self.state.models.get(record.model)
            last = self._task_that_published[component] if creator is None else creator.task
        return None if last is None else self.plan.called(last, record.model)

    @cached_property
    def _task_that_published(self) -> dict[ComponentId, TaskName]:
        """From the whole journal: only needed for what models that are gone have left behind."""
        return past_entries.publishers(self.store.journal)

    def load(self, task: TaskName) -> dict[ComponentName, dict[str, np.ndarray]]:
        """The arrays of a task's model by component name and path, every byte checked.

        Raises:
          UserError: no such task, or no model yet; or the run has gone on and removed what is no longer its model.
          CorruptionError: a component's file is damaged or missing.
        """
        try:
            return {name: self.store.components.load(id) for name, id in self.model(task).components.items()}
        except CorruptionError:
            self.check_gone_on([task])
            raise

    def check_gone_on(self, tasks: Iterable[TaskName]) -> None:
        """Says so where files of some tasks' models are missing because the run has gone on and removed them.

        Raises:
          GoneOnError: it has.
        """
        needed = {task: set(self.state.used_by(self.model(task))) for task in tasks}
        gone_on.check_gone_on(self.store, self.run_state.length, needed)


def open(workdir: str) -> RunView:
    """A view of the run or joint training in `workdir`, which may be going on.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
      CorruptionError: the journal is damaged.
    """
    from munet.system import joint  # which makes such views

    if joint.is_joint(workdir):
        return joint.open_joint(workdir)
    store = Store.open(workdir)
    start = read_start(store)
    with sound.stumbles_named(f"The first entry of the journal of {store.path}"):
        controller = Controller(read_experiment(start), start.tasks)
    return RunView(store, start, replay.load(controller, store))


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
