"""`munet forget`: a complete run without one of its tasks, and without every file that only that task used.

What it will change is worked out first, from records alone; then the journal gets one entry, and files are removed.
A call that was killed in between is gone on with by the same call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from munet.errors import UserError
from munet.evolution import judging
from munet.evolution.state import State
from munet.store import Store
from munet.store.collector import Collector
from munet.system import replay, view
from munet.system.baselines import baselines
from munet.system.view import RunView
from munet.types import ComponentId, ComponentRecord, ForgetEntry, TaskName


@dataclass(frozen=True)
class Forgetting:
    """What a run is before and after it forgets a task.

    Attributes:
      system: before.
      task: that is to be forgotten.
      entry: of the journal; None: the run has forgotten it already.
      after: the state afterwards.
    """

    system: RunView
    task: TaskName
    entry: ForgetEntry | None
    after: State

    @property
    def removed(self) -> Mapping[ComponentId, ComponentRecord]:
        """The components that no model uses any more."""
        return {id: record for id, record in self.system.state.components.items() if id not in self.after.components}

    @property
    def seen(self) -> Mapping[ComponentId, int]:
        """The components that stay although they were trained on the task's images, as `Plan.seen` has them."""
        return self.system.controller.plan(self.after).seen(self.after.components, self.task)

    def users(self, component: ComponentId) -> list[TaskName]:
        """The tasks whose models use a component that stays."""
        users = self.system.users(component)
        return [task for task in users if task != self.task]

    @property
    def others(self) -> list[TaskName]:
        """The tasks that stay."""
        return [task for task in self.system.models if task != self.task]

    def scores(self, task: TaskName) -> tuple[float, float]:
        """Eq. 2 of another task's model, before and after."""
        model = self.after.models[self.after.retained[task]]
        return self.system.score(task), self.system.controller.score(self.after, model)

    def accounted_params(self, task: TaskName) -> tuple[float, float]:
        """Eq. 3 of another task's model, before and after."""
        model = self.after.models[self.after.retained[task]]
        after = judging.accounted_params(self.after, model.components.values(), task)
        return self.system.accounted_params(task), after


def plan_forgetting(workdir: str, task: TaskName) -> list[Forgetting]:
    """What forgetting a task will change: of the run, then of the baselines that have the task, too.

    Raises:
      UserError: there is no such run or task, it is the only one, or the run is not complete.
    """
    system = view.open(workdir)
    if system.joint is not None:
        raise UserError(f"{workdir} holds a joint training, whose tasks have trained all layers together.")
    if not task:
        raise UserError(f"Say which task with --task=NAME. {workdir} has {', '.join(system.models) or 'none yet'}.")
    is_known = task in {info.name for info in system.tasks}
    if is_known and len(system.tasks) == 1:
        raise UserError(f"{task!r} is the only task of {workdir}: delete the directory.")
    if not is_known and task not in system.forgotten:
        system.task(task)  # says which there are
    return [_forgetting(one, task) for one in (system, *_baselines(workdir, task))]


def _baselines(workdir: str, task: TaskName) -> Iterator[RunView]:
    for place in baselines(workdir).values():
        system = view.open(place)
        if task in {*(info.name for info in system.tasks), *system.forgotten}:
            yield system


def _forgetting(system: RunView, task: TaskName) -> Forgetting:
    if task not in {info.name for info in system.tasks}:
        return Forgetting(system, task, None, system.state)
    if not system.is_complete:
        raise UserError(
            f"{system.workdir} is not complete: the phase of {system.active_task} is open, and what is in training may "
            f"use layers of {task}. Go on with the command that began it to its end, then forget the task."
        )
    entry = ForgetEntry(system.position, task, system.model(task).id)
    return Forgetting(system, task, entry, system.controller.tell(system.state, entry))


def forget(planned: Forgetting) -> None:
    """Writes the entry, then removes the files that no model uses any more.

    Raises:
      WorkdirError: another process writes there, or has written since this was planned.
    """
    system = planned.system
    store = Store.create_or_open(system.workdir)
    with store.lock():
        if planned.entry is not None:
            store.journal.append(planned.entry, at=system.run_state.length)
        current = replay.load(system.controller, store)
        replay.save_snapshot(current, store, is_last=True)
        Collector(store.components).collect(current.state.components, ())
