"""What an extension of a run is to be: the entry that a request comes to, or why it cannot be (`munet extend`).

Nothing is opened or written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

from munet.config import Config, Experiment, differences, to_json
from munet.config.checks import validate
from munet.data.uris import parse_uri
from munet.errors import ConfigError, UserError, nearest
from munet.evolution import schedule
from munet.evolution.extending import MAY_DIFFER
from munet.evolution.plan import Plan
from munet.evolution.search_space import values_of
from munet.system.view import RunView
from munet.types import TaskName


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes:
      configure: makes of the newest settings of a run, without tasks, those of the extension: its `tasks` are the new
        ones. It raises `UserError` where that cannot be.
      iterations: by task how many phases it gets; of new tasks that are not named: `num_task_iterations`.
      again: a further extension also where the run's last one was the same and is complete.
    """

    configure: Callable[[Config], Config] = lambda config: config
    iterations: Mapping[TaskName, int] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True)
class Extension:
    """What a request comes to.

    Attributes:
      config: whose `experiment` is that of the run with what was asked for; its `tasks` are the new ones alone.
      new: URIs of the new tasks, by name.
      phases: the task of each phase.
      settings: what is otherwise in them.
      is_there: the run has this extension already: it is gone on with.
    """

    config: Config
    new: Mapping[TaskName, str]
    phases: tuple[TaskName, ...]
    settings: Mapping[str, object]
    is_there: bool = False


def parse_iterations(text: str) -> dict[TaskName, int]:
    """`photos:1,birds:2` as numbers of phases by task.

    Raises:
      UserError: something else.
    """
    found: dict[TaskName, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        task, _, number = part.rpartition(":")
        if not task or not number.isdecimal() or not 1 <= int(number) <= 1_000_000:
            raise UserError(f"--iterations={text}: {part!r} is not of the form TASK:NUMBER, e.g. photos:1.")
        if task in found:
            raise UserError(f"--iterations={text} names {task} more than once.")
        found[task] = int(number)
    return found


def known_extension(system: RunView, request: Request) -> Extension | None:
    """What a request comes to if it is the run's newest extension, which is then gone on with; None if it is not.

    Raises:
      UserError: as `Request.configure`, or the run takes no tasks.
    """
    found = _asked_for(system, request)
    is_there = not found.settings and (tuple(found.new), found.phases) == system.plan.last_extension
    # One that was interrupted is gone on with, also where it was asked for once more.
    return replace(found, is_there=True) if is_there and not (request.again and system.is_complete) else None


def plan_extension(system: RunView, request: Request) -> Extension:
    """What a request comes to: the run's newest extension, or a new one.

    Raises:
      UserError: it cannot be; the message has everything that is wrong with it.
    """
    if known := known_extension(system, request):
        return known
    found = _asked_for(system, request)
    problems = _problems_of_tasks(system, found.config.experiment.tasks, request.iterations)
    problems += _problems_of_settings(system, found.settings, found.config.experiment)
    if problems:
        raise ConfigError(problems)
    if not found.phases:
        raise UserError(
            f"Nothing to extend {system.workdir} by: give new tasks (--config.tasks=folder:/path), further phases of "
            f"its own (--iterations={next(iter(system.models), 'TASK')}:1), or both."
        )
    validate(found.config, unasked=() if found.new else ("experiment.tasks",))
    return found


def _asked_for(system: RunView, request: Request) -> Extension:
    """A request as an extension, whatever is wrong with it."""
    if system.joint is not None:
        raise UserError(f"{system.workdir} holds a joint training, which takes no further tasks: train all together.")
    before = system.plan.settings[-1].experiment
    config = request.configure(Config(replace(deepcopy(before), tasks=())))
    new = {parse_uri(uri).name: uri for uri in config.experiment.tasks}
    usual = schedule.num_task_iterations(config.experiment)
    phases = _phases(system.plan, tuple(new), request.iterations, usual)
    return Extension(config, new, phases, _changes(before, config.experiment))


def _phases(
    plan: Plan, new: Sequence[TaskName], iterations: Mapping[TaskName, int], usual: int
) -> tuple[TaskName, ...]:
    """The task of each phase: round after round, those that the run has first, each as often as it is to be."""
    # The new ones may be among the plan's already: the same call once more must come to the same order.
    old = [task.name for task in plan.tasks if task.name not in new]
    number = {name: iterations[name] for name in old if name in iterations}
    number |= {name: iterations.get(name, usual) for name in new}
    rounds = range(max(number.values(), default=0))
    return tuple(name for one in rounds for name in number if one < number[name])


def _problems_of_tasks(system: RunView, uris: Sequence[str], iterations: Mapping[TaskName, int]) -> list[str]:
    known, new = [task.name for task in system.tasks], {parse_uri(uri).name: uri for uri in uris}
    names = Counter(parse_uri(uri).name for uri in uris)
    problems = [
        f"--config.tasks: {number} tasks are called {name!r}: give one another name, {_renamed(name, new[name])}."
        for name, number in names.items()
        if number > 1
    ]
    problems += [
        f"--config.tasks: {system.workdir} has a task called {name!r} already. --iterations={name}:1 gives it another "
        f"phase; other data needs another name: {_renamed(name, uri)}."
        for name, uri in new.items()
        if name in known
    ]
    return problems + [
        f"--iterations: there is no task {name!r} in {system.workdir}. {nearest(name, [*known, *new])}"
        for name in iterations
        if name not in known and name not in new
    ]


def _renamed(name: TaskName, uri: str) -> str:
    return f"{name}2={uri.removeprefix(f'{name}=')}"


def _changes(before: Experiment, after: Experiment) -> dict[str, object]:
    """The fields that are otherwise, in groups, as JSON values; those that only say which tasks there are left out."""
    old, new = to_json(before), to_json(after)
    found: dict[str, object] = {}
    for name, value in new.items():
        if name == "tasks" or value == old[name]:
            continue
        is_group = isinstance(value, dict)
        found[name] = {key: one for key, one in value.items() if one != old[name][key]} if is_group else value
    return found


def _problems_of_settings(system: RunView, changes: Mapping[str, object], after: Experiment) -> list[str]:
    before = system.plan.settings[-1].experiment
    problems = [
        f"{text}: a run keeps its {name.replace('_', ' ')}. Only what further phases try may differ: "
        f"{', '.join(MAY_DIFFER)}."
        for name in changes
        if name not in MAY_DIFFER
        for text in differences({name: to_json(before)[name]}, {name: to_json(after)[name]}, "experiment.")
    ]
    if changes and not problems and not system.is_complete:
        listed = ", ".join(differences(to_json(replace(before, tasks=())), to_json(replace(after, tasks=()))))
        problems.append(
            f"{listed}: the phase of {system.active_task} is open, and phases that wait keep their settings. Go on "
            "with the run to its end first, or extend it with its own settings."
        )
    if lost := [name for name in before.private_tasks if name not in after.private_tasks]:
        problems.append(f"experiment.private_tasks: {', '.join(lost)} would become parents of others: name them, too.")
    names = [*(task.name for task in system.plan.tasks), *(parse_uri(uri).name for uri in after.tasks)]
    if unknown := [name for name in after.private_tasks if name not in names]:
        problems.append(f"experiment.private_tasks: there is no task {unknown[0]!r}. {nearest(unknown[0], names)}")
    space = changes.get("search_space")
    return problems + [
        problem for name in (space if isinstance(space, dict) else ()) for problem in _space(system, name, after)
    ]


def _space(system: RunView, name: str, after: Experiment) -> list[str]:
    """What is wrong with the values of a setting: models have others, or the data was not made for them."""
    where, values = f"experiment.search_space.{name}", values_of(after, name)
    problems: list[str] = []
    used = {
        model.hyperparameters[name]: task
        for task, model in reversed(system.models.items())
        if name in model.hyperparameters
    }
    for value, task in used.items():
        if value not in values:
            problems.append(f"{where} = {tuple(values)}: the model of {task} has {value!r}, so it must be among them.")
    most = max(system.experiment.search_space.image_size)
    if name == "image_size" and max(after.search_space.image_size, default=0) > most:
        problems.append(f"{where}: the run's images are kept for at most {most} pixels, so none may be larger.")
    return problems
