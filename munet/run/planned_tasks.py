"""The tasks of a run that is to begin: opened as it would open them, or guessed where they cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from munet.config import Config
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, open_task
from munet.errors import UserError
from munet.run import estimates
from munet.run.estimates import ImagePlace
from munet.run.setup import open_inputs, together
from munet.training.batches.resident import max_resident
from munet.training.placement.devices import DeviceLayout
from munet.types import TaskInfo


@dataclass(frozen=True)
class PlannedTask:
    """A task of the run; where it cannot be opened `task` is None, and `info` a guess at the largest it could be."""

    info: TaskInfo
    task: Task | None
    images: ImagePlace | None = None  # where its training images will be; None if unknown

    def located(self, config: Config, layout: DeviceLayout) -> PlannedTask:
        """The same, with where its images will be; they are decoded for that, and dropped again."""
        if self.task is None:
            return self
        images = estimates.training_images(config, self.task, layout)
        self.task.release()
        return replace(self, images=images)


def open_all(
    config: Config, layout: DeviceLayout, say: Callable[[str], None]
) -> tuple[list[PlannedTask], list[UserError]]:
    """The tasks, opened as a run would open them, and what is wrong with data and root.

    Raises:
      UserError: images cannot be decoded.
    """
    limit = max_resident(config.runtime, layout)
    tasks, _, problems = open_inputs(config, say, max_resident=limit)
    planned = [PlannedTask(task.info, task) for task in tasks]
    planned = planned or [_open_or_guess(uri, config, limit) for uri in config.experiment.tasks]
    try:
        return [item.located(config, layout) for item in planned], problems
    except UserError as error:
        raise together([error, *problems]) from error


def _open_or_guess(uri: str, config: Config, max_resident: float) -> PlannedTask:
    """One task of several of which some cannot be opened."""
    try:
        task = open_task(uri, OpenSettings.of(config, max_resident=max_resident))
    except UserError:
        return PlannedTask(estimates.guessed(uri, config.experiment), None)
    return PlannedTask(task.info, task)
