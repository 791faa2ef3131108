"""What Python users call: `munet.evolve`, `munet.verify`, `munet.open`, and the `System` that they give.

`evolve` and `verify` do what the commands of these names do, also for tasks from arrays. JAX is loaded when
something is trained, measured or predicted, not before.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munet.config import Config, Experiment, differences, to_json
from munet.config.checks import validate
from munet.config.config_dicts import from_config_dict
from munet.config.fields import assign
from munet.data.array_task import ArrayTask
from munet.errors import DataError, DiskFullError, UserError
from munet.progress.events import Note, RunEnded, RunFailed
from munet.progress.listeners import Listeners, listeners_for
from munet.report.verify.problems import VerifyReport
from munet.system import view
from munet.system.view import RunView
from munet.types import TaskName

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from munet.report.graph.graph import Graph
    from munet.serving.device_components import DeviceComponents
    from munet.serving.prediction import Prediction
    from munet.serving.predictor import Predictor
    from munet.serving.together import Together

_MAX_NAMES = 3  # task names in the name of a work directory
_TASKS = "munet.Task(name, images, labels) or a URI such as 'builtin:digits'"

Tasks = Sequence[ArrayTask | str] | ArrayTask | str


def evolve(
    tasks: Tasks,
    root: str | None = None,
    workdir: str | None = None,
    config: Config | ConfigDict | str | None = None,
    *,
    quiet: bool = False,
    settings: Mapping[str, Any] | None = None,
    **named_settings: Any,
) -> System:
    """Evolves a system for some tasks; the same call goes on with a run that was interrupted.

    Args:
      tasks: each a `munet.Task` or a URI such as `"builtin:digits"`.
      root: the pretrained root, as in `experiment.root`; None: the config's, which is `"demo"` in `base`.
      workdir: where the run is kept; None: `runs/NAMES-HASH` in the current directory, a place of its own for every
        choice of tasks, arrays and settings, so that a changed call starts another run.
      config: the settings to begin with: a `munet.config.Config`, a `ConfigDict` of `munet.config.default`, or
        `FILE[:VARIANT]` as on the command line; None: `base:paper`, the paper's phases, which
        `num_generations` and the like cut short. `"base"` and `"base:quick"` race on a budget of `images_per_task`.
      quiet: print nothing; the log in the work directory is written all the same.
      settings: fields by their full or short names, such as `{"search_space.image_size": (32,)}`.
      **named_settings: fields whose names are unambiguous, such as `num_generations=4`; `munet config` lists them.

    Returns:
      The system; `predict`, `models` and `graph()` are there at once. If `runtime.max_hours` have passed it is not
      complete (`is_complete`), and the same call goes on.

    Raises:
      UserError: tasks, settings, root or work directory cannot be used; nothing is written then.
      EvolutionError: every child of a phase diverged.
      KeyboardInterrupt: the user ended it; what was committed is kept, and the same call goes on.
    """
    given = as_tasks(tasks)
    chosen = _config(given, root, config, {**(settings or {}), **named_settings})
    place = workdir or _default_workdir(chosen, given)
    from munet.run import runs

    with told(place, chosen.runtime.notify, quiet) as listeners:
        runs.evolve(chosen, place, listeners, arrays=arrays_of(given))
    return open(place)


@contextlib.contextmanager
def told(place: str, command: str, quiet: bool) -> Iterator[Listeners]:
    """Everything that a run tells goes to a display that suits notebooks, the log and the user's hook."""
    started = time.monotonic()
    with listeners_for(None if quiet else sys.stdout, command=command, children=False) as listeners:
        try:
            yield listeners
        except KeyboardInterrupt:
            listeners(Note(f"Interrupted. The same call goes on with the run in {place}."))
            listeners(RunEnded(is_complete=False, seconds=time.monotonic() - started))
            raise
        except Exception as error:
            with contextlib.suppress(DiskFullError):  # of the log
                listeners(RunFailed(f"{type(error).__name__}: {error}"))
            raise


def verify(workdir: str | System, tasks: Tasks = (), *, tests: bool = True, data_dir: str = "") -> VerifyReport:
    """Checks every stored file of a run and, with `tests`, that every test accuracy measured again is the recorded one.

    Args:
      workdir: of the run, or its system.
      tasks: its tasks from arrays; others are found by their URIs.
      tests: whether to measure again.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Returns:
      What was found; `is_sound` if there is no problem, `print` shows all.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
    """
    from munet.report.verify import verify as checks

    place = workdir.workdir if isinstance(workdir, System) else workdir
    arrays = arrays_of(as_tasks(tasks))
    return checks.verify(place, checks.remeasure(data_dir, arrays=arrays) if tests else None)


@dataclass(frozen=True, repr=False)
class System(RunView):
    """The retained models of a run and the components they share: all of `RunView`, and what is done with it.

    Attributes:
      store: where the components are.
      start: the journal's first entry: tasks, configuration, versions.
      run_state: the journal folded.
      joint: of a joint training, which has no journal.
    """

    def __repr__(self) -> str:
        from munet.report import notebook

        return notebook.text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the table of `munet status`."""
        from munet.report import notebook

        return notebook.html(self)

    def predict(self, task: TaskName, images: Any) -> Prediction:
        """Classifies images with the task's model; see `munet.serving.predictor.Predictor.predict`.

        The model stays on the device: the first call reads it and checks every byte, later ones do not.
        """
        return self.predictor(task).predict(images)

    def predictor(self, task: TaskName) -> Predictor:
        """The task's model on the device, checked and ready; the same object however often it is asked for.

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: a component's file is damaged or missing.
        """
        from munet.serving.predictor import Predictor

        if task not in self._predictors:
            self._predictors[task] = Predictor(self, task, self.device_components)
        return self._predictors[task]

    def predict_all(
        self, images: Any, tasks: TaskName | Sequence[TaskName] | None = None
    ) -> dict[TaskName, Prediction]:
        """Classifies images with the models of several tasks; what these share is computed once.

        Args:
          images: as for `predict`.
          tasks: solved tasks, or one; None: all.

        Returns:
          What `predict` gives, by task, in their order.

        Raises:
          UserError: no such task, no model yet, or what was given are no images.
          CorruptionError: a component's file is damaged or missing.
        """
        return self.together(self.models if tasks is None else tasks).predict_all(images)

    def predict_mixed(self, images: Any, tasks: Sequence[TaskName]) -> list[Prediction]:
        """Classifies every image with the model of a task of its own, all in one pass.

        Args:
          images: as for `predict`.
          tasks: one for each image.

        Returns:
          What `predict` gives for each image alone, in their order.

        Raises:
          UserError, CorruptionError: as for `predict_all`; also other numbers of images and tasks.
        """
        if isinstance(tasks, str):
            raise UserError(
                f"predict_mixed takes a task for each image, as [{tasks!r}, ...]; predict({tasks!r}, images) takes one "
                "for all."
            )
        named = set(tasks)
        unknown = [task for task in tasks if task not in self.models]
        return self.together([*unknown[:1], *filter(named.__contains__, self.models)]).predict_mixed(images, tasks)

    def together(self, tasks: TaskName | Iterable[TaskName]) -> Together:
        """The models of several tasks on the device, ready to answer together; the same object for the same tasks.

        Raises:
          UserError: no such task, or no model yet.
          CorruptionError: a component's file is damaged or missing.
        """
        from munet.serving.together import Together

        chosen = (tasks,) if isinstance(tasks, str) else tuple(dict.fromkeys(tasks))
        if chosen not in self._together:
            self._together[chosen] = Together(self, chosen, self.device_components)
        return self._together[chosen]

    @cached_property
    def device_components(self) -> DeviceComponents:
        """The components of the system that are on the device, each once; whatever predicts shares them."""
        from munet.serving.device_components import DeviceComponents

        return DeviceComponents(self.store.components)

    @cached_property
    def _together(self) -> dict[tuple[TaskName, ...], Together]:
        return {}

    @cached_property
    def _predictors(self) -> dict[TaskName, Predictor]:
        return {}

    def export(self, task: TaskName, folder: str | Path, format: str = "safetensors") -> Path:
        """Writes the task's model for other programs; see `munet.export.export.export`."""
        from munet.export import export

        return export.export(self, task, folder, format)

    def graph(self) -> Graph:
        """The layer graph of the system (paper Fig. 2)."""
        from munet.report.graph import graph

        return graph.of_run(self)


def open(workdir: str) -> System:
    """The system of the run or joint training in `workdir`, which may be going on.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
      CorruptionError: the journal is damaged.
    """
    opened = view.open(workdir)
    return System(opened.store, opened.start, opened.run_state, opened.joint)


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


def _config(
    tasks: Sequence[ArrayTask | str],
    root: str | None,
    config: Config | ConfigDict | str | None,
    settings: Mapping[str, Any],
) -> Config:
    """The validated settings of a call.

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
    assign(chosen, settings, others=list(inspect.signature(evolve).parameters)[:-1])
    chosen.experiment.tasks = tuple(task if isinstance(task, str) else task.uri for task in tasks)
    if root is not None:
        chosen.experiment.root = root
    return validate(chosen)


def _default_workdir(config: Config, tasks: Sequence[ArrayTask | str]) -> str:
    """A place of its own for everything that changes the result."""
    from munet.data.uris import parse_uri

    names = [task.name if isinstance(task, ArrayTask) else parse_uri(task).name for task in tasks]
    more = [f"{len(names) - _MAX_NAMES}-more"] if len(names) > _MAX_NAMES else []
    contents = [task.digest for task in tasks if isinstance(task, ArrayTask)]
    # What differs from the defaults, so that a later version with more fields finds the run again.
    identity = [differences(to_json(Experiment()), to_json(config.experiment)), contents]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    return "runs/" + "-".join(name.replace("/", "-").replace(" ", "_") for name in [*names[:_MAX_NAMES], *more, digest])
