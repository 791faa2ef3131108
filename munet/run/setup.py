"""A run that is checked and ready to start, before anything is written: data, root, devices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from munet import roots
from munet.config import Config
from munet.data import cache
from munet.data.open_settings import NO_ARRAYS, Arrays, OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.errors import DataError, UserError, nearest
from munet.evolution import schedule
from munet.evolution.controller import Controller
from munet.run import estimates, start, task_notes
from munet.training.batches import resident
from munet.training.placement.devices import DeviceLayout
from munet.training.program import jax_settings
from munet.training.program.compilation_cache import use_compilation_cache
from munet.types import StartEntry, TaskName


@dataclass(frozen=True)
class RunSetup:
    """A run that is checked and ready, before anything is written.

    Attributes:
      config: the validated settings; those of `experiment` as the run began with them.
      tasks: opened, their images not in memory.
      root: read and checked; None where the run is there and has it.
      layout: the devices.
      begun: the first entry of a run that is there, where only tasks with phases to come are opened; else None.
    """

    config: Config
    tasks: tuple[Task, ...]
    root: start.RootComponents | None
    layout: DeviceLayout
    begun: StartEntry | None = None

    @classmethod
    def prepare(
        cls, config: Config, say: Callable[[str], None] = lambda _: None, arrays: Arrays = NO_ARRAYS
    ) -> RunSetup:
        """Opens data, root and devices; with a cache, all images are decoded (or read from it) and checked.

        Of sets that are streamed, what a first pass finds is what is checked and cached.

        Args:
          config: validated settings.
          say: told about work that takes long, and what the tasks have to say of themselves, a line each time.
          arrays: the `memory:` tasks, by name.

        Raises:
          DataError, CheckpointError, UserError: any of them cannot be used, data and root in one message; or a child
            fits no device.
        """
        layout = detect_devices(config, say)
        tasks, root, problems = open_inputs(config, say, arrays, resident.max_resident(config.runtime, layout))
        if root is None or problems:
            raise together(problems)
        check_tasks(config, tasks, layout, say)
        for note in root.notes:
            say(f"root {config.experiment.root}: {note}")
        return cls(config, tuple(tasks), root, layout)

    @property
    def controller(self) -> Controller:
        """The controller of this experiment."""
        infos = [task.info for task in self.tasks] if self.begun is None else self.begun.tasks
        return Controller(self.config.experiment, infos)

    @property
    def start_entry(self) -> StartEntry:
        """What the journal of a new run begins with.

        Raises:
          ValueError: this is the setup of a run that is there.
        """
        if self.root is None:
            raise ValueError("a run that is there has its first entry")
        infos = [task.noted for task in self.tasks]
        return start.start_entry(self.config.experiment, infos, self.root, self.layout.describe())

    @property
    def environment(self) -> start.Environment:
        """The devices and the software of now."""
        return start.Surroundings(self.layout.describe(), start.versions())

    @property
    def total_image_steps(self) -> int:
        """Training images that all children of a new run see."""
        return schedule.images_of_run(self.config.experiment, [task.info for task in self.tasks])


def detect_devices(config: Config, say: Callable[[str], None]) -> DeviceLayout:
    """The devices of a run, with JAX set as runs rely on it."""
    jax_settings.pin(say)
    use_compilation_cache(config.runtime.cache_dir)
    return DeviceLayout.detect(config.runtime)


def check_tasks(config: Config, tasks: Sequence[Task], layout: DeviceLayout, say: Callable[[str], None]) -> None:
    """Refuses data that cannot be decoded, and phases that a budget does not pay or whose children fit no device.

    Args:
      config: with which the tasks are trained.
      tasks: opened.
      layout: the devices.
      say: told what the tasks have to say of themselves.

    Raises:
      DataError, UserError: so it is.
    """
    if cache.cache_folder(config.runtime.cache_dir) is not None:  # else every start would decode everything twice
        _check_images(tasks)
    for task in tasks:
        for note in task.notes:
            say(f"{task.uri}: {note}")
    infos = [task.info for task in tasks]
    for note in task_notes.notes(config.experiment, infos):
        say(note)
    for one in (config, *baselines(config)):
        for info in infos:
            schedule.check_budget(one.experiment, info)
        if warning := estimates.check_fits(one, infos, layout):
            say(warning)


def open_inputs(
    config: Config,
    say: Callable[[str], None] = lambda _: None,
    arrays: Arrays = NO_ARRAYS,
    max_resident: float = math.inf,
) -> tuple[list[Task], start.RootComponents | None, list[UserError]]:
    """The tasks and the root of a run, or why they cannot be used: the data's problems do not hide the root's.

    Args:
      config, say, arrays: as for `RunSetup.prepare`.
      max_resident: as in `OpenSettings`.

    Returns:
      The tasks (none if any of them cannot be used), the root (None if it cannot), and what is wrong.
    """
    experiment = config.experiment
    tasks: list[Task] = []
    root = None
    problems: list[UserError] = []
    try:
        tasks = load_tasks(experiment.tasks, OpenSettings.of(config, say, arrays, max_resident))
        _check_private(experiment.private_tasks, [task.info.name for task in tasks])
    except UserError as error:
        problems.append(error)
    try:
        # Hundreds of megabytes are not fetched for a run that cannot begin.
        if not (problems and roots.needs_download(experiment.root, config.runtime.cache_dir)):
            root = start.RootComponents(experiment, config.runtime.cache_dir)
    except UserError as error:
        problems.append(error)
    return tasks, root, problems


def _check_private(private: Sequence[TaskName], names: Sequence[TaskName]) -> None:
    """Refuses names of private tasks that no task has.

    Raises:
      UserError: what was meant, perhaps.
    """
    if unknown := [name for name in private if name not in names]:
        hints = " ".join(f"{name!r}: {nearest(name, names)}" for name in unknown)
        raise UserError(f"experiment.private_tasks names no task of this run: {hints}")


def together(problems: Sequence[UserError]) -> UserError:
    """One error that says all of several; one alone stays what it is."""
    if len(problems) == 1:
        return problems[0]
    return UserError("\n\n".join(["Neither the data nor the root can be used.", *map(str, problems)]))


def baselines(config: Config) -> list[Config]:
    """The configs of the baselines that a run is to be compared with, in order."""
    experiment, runtime = config.experiment, replace(config.runtime, compare=())
    return [
        Config(replace(experiment, baseline=replace(experiment.baseline, kind=kind)), runtime)
        for kind in config.runtime.compare
    ]


def _check_images(tasks: Sequence[Task]) -> None:
    """Decodes every task once, into the cache, and drops the images again: damage shows before the run starts.

    Raises:
      DataError: images that cannot be decoded, labels out of range; of all tasks.
    """
    problems = []
    for task in tasks:
        try:
            _ = task.image_shape  # decodes it
        except DataError as error:
            problems.append(str(error))
        task.release()
    if problems:
        raise DataError("\n  - ".join([f"{len(problems)} of {len(tasks)} tasks cannot be used:", *problems]))
