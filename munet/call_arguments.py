"""How arguments of calls such as `munet.evolve` are read: tasks, settings, and a work directory if none is given."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from munet.config import Config, Experiment, differences, to_json
from munet.config.checks import validate
from munet.config.config_dicts import from_config_dict
from munet.config.fields import assign
from munet.data.array_task import ArrayTask
from munet.errors import DataError, UserError
from munet.types import TaskName

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_MAX_NAMES = 3  # task names in the name of a work directory
_TASKS = "munet.Task(name, images, labels) or a URI such as 'builtin:digits'"

Tasks = Sequence[ArrayTask | str] | ArrayTask | str


def as_tasks(tasks: Tasks) -> list[ArrayTask | str]:
    """The tasks as a list.

    Raises:
      DataError: one of them is something else, or two have one name.
    """
    if not isinstance(tasks, ArrayTask | str | Iterable):
        raise DataError(f"tasks is a {type(tasks).__name__}; expected a list of tasks, or one: {_TASKS}.")
    given = [tasks] if isinstance(tasks, ArrayTask | str) else list(tasks)
    for index, task in enumerate(given):
        if not isinstance(task, ArrayTask | str):
            raise DataError(f"Task {index} is a {type(task).__name__}; expected {_TASKS}.")
    return given


def arrays_of(tasks: Sequence[ArrayTask | str]) -> dict[TaskName, ArrayTask]:
    """Those that are arrays, by name."""
    return {task.name: task for task in tasks if isinstance(task, ArrayTask)}


def config_of(
    tasks: Sequence[ArrayTask | str],
    root: str | None,
    config: Config | ConfigDict | str | None,
    settings: Mapping[str, Any],
    others: Collection[str],
) -> Config:
    """The validated settings of a call.

    Args:
      tasks: what `experiment.tasks` will be.
      root: as in `experiment.root`; None: the config's.
      config: to begin with; as `munet.evolve` takes it.
      settings: fields by their full or short names.
      others: what else the call takes by name, so that a misspelt one is told of, too.

    Raises:
      UserError: the config file cannot be used.
      ConfigError: unknown names, wrong types or values; all of a kind together.
    """
    from ml_collections import ConfigDict  # takes 0.1 s, which nobody waits for who opens a run

    from munet.config.files import load_config

    if config is None or isinstance(config, str):
        chosen = load_config(config or "base:paper")
    elif isinstance(config, ConfigDict):
        chosen = from_config_dict(config)
    elif isinstance(config, Config):
        chosen = copy.deepcopy(config)
    else:
        raise UserError(
            f"config is a {type(config).__name__}; expected a munet.config.Config, a ConfigDict or e.g. 'characters'."
        )
    assign(chosen, settings, others=others)
    chosen.experiment.tasks = tuple(task if isinstance(task, str) else task.uri for task in tasks)
    if root is not None:
        chosen.experiment.root = root
    return validate(chosen)


def default_workdir(config: Config, tasks: Sequence[ArrayTask | str]) -> str:
    """A place of its own for everything that changes the result."""
    from munet.data.uris import parse_uri

    names = [task.name if isinstance(task, ArrayTask) else parse_uri(task).name for task in tasks]
    more = [f"{len(names) - _MAX_NAMES}-more"] if len(names) > _MAX_NAMES else []
    contents = [task.digest for task in tasks if isinstance(task, ArrayTask)]
    # What differs from the defaults, so that a later version with more fields finds the run again.
    identity = [differences(to_json(Experiment()), to_json(config.experiment)), contents]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    return "runs/" + "-".join(name.replace("/", "-").replace(" ", "_") for name in [*names[:_MAX_NAMES], *more, digest])
