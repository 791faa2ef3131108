"""A run that is extended, or goes on after it was: what of it is opened and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from munet.config import Config, Runtime
from munet.data.open_settings import NO_ARRAYS, Arrays, OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.data.uris import absolute
from munet.evolution.plan import Plan
from munet.evolution.state import State
from munet.run.extension import Extension
from munet.run.setup import RunSetup, check_tasks, detect_devices
from munet.system.data import open_same
from munet.system.view import RunView
from munet.training.batches.resident import max_resident
from munet.types import ExtendEntry


@dataclass(frozen=True)
class Grown:
    """A run that is there, with what is to be added to its journal.

    Attributes:
      system: the run as it is.
      setup: with the tasks of all phases to come, and the settings that the run began with.
      entry: the extension; None where the journal has it already.
      state: after it.
    """

    system: RunView
    setup: RunSetup
    entry: ExtendEntry | None
    state: State

    @property
    def plan(self) -> Plan:
        """All phases, those of the extension too."""
        return self.system.controller.plan(self.state)

    @classmethod
    def prepare(
        cls,
        system: RunView,
        extension: Extension,
        say: Callable[[str], None] = lambda _: None,
        arrays: Arrays = NO_ARRAYS,
    ) -> Grown:
        """Opens and checks devices, and the data of every task with a phase to come.

        Args:
          system: the run.
          extension: what is asked for.
          say: told about work that takes long, and what the tasks have to say of themselves, a line each time.
          arrays: the `memory:` tasks, by name.

        Raises:
          DataError, UserError: the data cannot be used, or is not what the run used; or a child fits no device.
        """
        runtime = extension.config.runtime
        layout = detect_devices(extension.config, say)
        begun = Config(system.experiment, runtime)  # decides how data is opened, for new tasks as for old ones
        settings = OpenSettings.of(begun, say, arrays, max_resident(runtime, layout))
        given = {} if extension.is_there else extension.new
        new = load_tasks([absolute(uri) for uri in given.values()], settings) if given else []
        entry = None if extension.is_there else _entry(system, extension, new)
        state = system.state if entry is None else system.controller.tell(system.state, entry)
        plan = system.controller.plan(state)
        tasks = {task.info.name: task for task in new}
        for index in dict.fromkeys(phase.task_index for phase in plan.left(state.position)):
            info = plan.tasks[index]
            if info.name not in tasks:
                uri = extension.new.get(info.name, info.uri)
                tasks[info.name] = open_same(system.start.folder, replace(info, uri=uri), settings)
        if tasks:
            check_tasks(Config(plan.settings[-1].experiment, runtime), list(tasks.values()), layout, say)
        if entry is not None:  # with what is known of the images by now
            entry = _entry(system, extension, new)
        setup = RunSetup(begun, tuple(tasks.values()), None, layout, system.start)
        return cls(system, setup, entry, state)

    @classmethod
    def as_it_is(
        cls, system: RunView, runtime: Runtime, say: Callable[[str], None] = lambda _: None, arrays: Arrays = NO_ARRAYS
    ) -> Grown:
        """A run that was extended and goes on; arguments and errors as for `prepare`."""
        newest = system.plan.settings[-1].experiment
        return cls.prepare(system, Extension(Config(newest, runtime), {}, (), {}, is_there=True), say, arrays)


def _entry(system: RunView, extension: Extension, new: list[Task]) -> ExtendEntry:
    return ExtendEntry(system.position, tuple(task.noted for task in new), extension.phases, extension.settings)
