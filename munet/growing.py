"""What Python users call to change the tasks of a system that is there: `munet.extend`, `munet.forget`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from munet.api import told
from munet.call_arguments import Tasks, arrays_of, as_tasks
from munet.config import Config
from munet.config.fields import assign
from munet.data.array_task import ArrayTask
from munet.run.extension import Request
from munet.system.system import System
from munet.system.system import open as open_system
from munet.types import TaskName


def extend(
    system: str | System,
    tasks: Tasks = (),
    *,
    iterations: Mapping[TaskName, int] | None = None,
    arrays: Sequence[ArrayTask] = (),
    to: str | None = None,
    again: bool = False,
    quiet: bool = False,
    settings: Mapping[str, Any] | None = None,
    **named_settings: Any,
) -> System:
    """Adds tasks to a system, or gives its tasks further phases; the same call goes on with one that was interrupted.

    What the system has learnt is not trained again, and its models stay bit for bit what they are until they have a
    phase of their own.

    Args:
      system: of a run, or its work directory.
      tasks: new ones, each a `munet.Task` or a URI such as `"folder:/data/photos"`.
      iterations: how many phases a task gets, by name, of the system or new; None: new ones `num_task_iterations`.
      arrays: tasks from arrays that the system has, where these have phases to come.
      to: a new or empty directory for an extended copy, so that the system stays as it is; None: in place.
      again: once more, where the last extension was the same and is complete.
      quiet: print nothing; the log in the work directory is written all the same.
      settings: of the new phases, by their full or short names; what may differ is how much they try, and among which
        values.
      **named_settings: fields whose names are unambiguous, such as `images_per_task=20_480`.

    Returns:
      The system as it is then; `system` itself does not change.

    Raises:
      UserError: the run, tasks, settings or directory cannot be used; nothing is written then.
      EvolutionError: every child of a phase diverged.
      KeyboardInterrupt: the user ended it; what was committed is kept, and the same call goes on.
    """
    from munet.run import extend as extending

    given = as_tasks(tasks)
    workdir = system.workdir if isinstance(system, System) else system
    values = {**(settings or {}), **named_settings}

    def configure(config: Config) -> Config:
        assign(config, values, others=list(inspect.signature(extend).parameters)[:-1])
        config.experiment.tasks = tuple(task if isinstance(task, str) else task.uri for task in given)
        return config

    place, command = to or workdir, configure(Config()).runtime.notify
    with told(place, command, quiet) as listeners:
        request = Request(configure, iterations or {}, again)
        extending.extend(workdir, request, listeners, to=to or "", arrays=arrays_of([*given, *arrays]))
    return open_system(place)


def forget(system: str | System, task: TaskName) -> System:
    """Takes a task out of a complete system: its model goes, and every file that only it used.

    What other tasks use stays bit for bit; its history still names the task, `digits (forgotten)`, whose name may be
    used again. It cannot be undone, and nobody is asked.

    Args:
      system: of a run, or its work directory.
      task: which.

    Returns:
      The system as it is then; `system` itself does not change.

    Raises:
      UserError: there is no such task, it is the only one, or the run is not complete; nothing is changed then.
      WorkdirError: another process writes there.
    """
    from munet.run import forget as forgetting

    workdir = system.workdir if isinstance(system, System) else system
    for planned in forgetting.plan_forgetting(workdir, task):
        forgetting.forget(planned)
    return open_system(workdir)
