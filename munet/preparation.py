"""A run that is checked and ready to start, before anything is written: data, root, devices."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from munet import start
from munet.config import Config, Runtime
from munet.data import cache, loader
from munet.data.tasks import Task, load_tasks
from munet.evolution import schedule
from munet.evolution.controller import Controller
from munet.training.placement import Layout
from munet.types import StartEntry


@dataclass(frozen=True)
class Setup:
    """A run that is checked and ready, before anything is written.

    Attributes:
      config: the validated settings.
      tasks: opened, not decoded.
      root: read and checked.
      layout: the devices.
    """

    config: Config
    tasks: tuple[Task, ...]
    root: start.RootComponents
    layout: Layout

    @classmethod
    def prepare(cls, config: Config) -> Setup:
        """Opens data, root and devices.

        Raises:
          DataError, CheckpointError, UserError: any of them cannot be used.
        """
        use_compilation_cache(config.runtime)
        experiment, runtime = config.experiment, config.runtime
        tasks = load_tasks(
            experiment.tasks,
            data_dir=runtime.data_dir,
            cache_dir=runtime.cache_dir,
            seed=experiment.seed,
            max_image_size=max(experiment.search_space.image_size),
        )
        return cls(config, tuple(tasks), start.RootComponents(experiment), Layout.detect(runtime))

    @property
    def controller(self) -> Controller:
        """The controller of this experiment."""
        return Controller(self.config.experiment, [task.info for task in self.tasks])

    @property
    def start_entry(self) -> StartEntry:
        """What the journal begins with."""
        infos = [task.info for task in self.tasks]
        return start.start_entry(self.config.experiment, infos, self.root, self.layout.describe())

    def image_steps(self, task: Task) -> int:
        """Training images that one child of a task sees."""
        experiment, num_train = self.config.experiment, task.info.num_train
        steps = loader.steps_per_cycle(num_train, experiment) * schedule.cycles_per_child(experiment)
        return steps * loader.effective_batch_size(num_train, experiment)

    @property
    def total_image_steps(self) -> int:
        """Training images that all children of the run see."""
        experiment = self.config.experiment
        children = experiment.children_per_generation * schedule.num_generations(experiment)
        phases = schedule.num_task_iterations(experiment)
        return phases * children * sum(self.image_steps(task) for task in self.tasks)


def use_compilation_cache(runtime: Runtime) -> None:
    """Keeps compiled programs on disk, so that a restart compiles nothing again."""
    folder = cache.folder(runtime.cache_dir)
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
