"""The models of a complete routed training, opened from its directory task by task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet.config.routing import RoutingExperiment
from munet.errors import UserError, WorkdirError, nearest
from munet.joint.beginning import Beginning
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import networks
from munet.methods.gumbel_matrix.inference import Model, model_of
from munet.methods.gumbel_matrix.result import ROUTING, RoutedTask, RoutingResult
from munet.methods.gumbel_matrix.sources import images_of
from munet.store import codec
from munet.types import TaskInfo, TaskName


@dataclass(frozen=True)
class RoutedView:
    """A complete routed training.

    Attributes:
      place: its directory.
      beginning: settings and tasks.
      experiment: the settings.
      result: rows, components and accuracies of every seed.
    """

    place: Workdir
    beginning: Beginning
    experiment: RoutingExperiment
    result: RoutingResult

    @property
    def tasks(self) -> dict[TaskName, RoutedTask]:
        """Of the first seed, which is the system that is opened."""
        return dict(self.result.replicas[0].tasks)

    def info(self, task: TaskName) -> TaskInfo:
        """What is known of a task.

        Raises:
          UserError: there is no such task.
        """
        for info in self.beginning.tasks:
            if info.name == task:
                return info
        names = [info.name for info in self.beginning.tasks]
        raise UserError(f"{self.place.path} has no task {task!r}. {nearest(task, names)}")

    def model(self, task: TaskName, replica: int = 0) -> Model:
        """A task's model, every byte of it checked.

        Raises:
          UserError: there is no such task or replica.
          CorruptionError: a file is damaged or missing.
        """
        replicas = self.result.replicas
        if not 0 <= replica < len(replicas):
            raise UserError(f"{self.place.path} has replicas 0 to {len(replicas) - 1}, not {replica}.")
        found = replicas[replica].tasks[self.info(task).name]
        params = {name: self.place.components.load(identity) for name, identity in found.components.items()}
        return model_of(networks.network(self.experiment), found.rows, params, self.experiment.combination)


def open_routed(workdir: str) -> RoutedView:
    """Opens a complete routed training.

    Raises:
      WorkdirError: there is none.
      CorruptionError: a file is damaged.
    """
    place = Workdir(workdir, ROUTING)
    beginning, result = place.beginning(), place.result()
    if beginning is None or result is None:
        raise WorkdirError(f"{workdir} holds no complete routed training.")
    experiment = codec.from_json(RoutingExperiment, beginning.experiment, place.location(ROUTING.start))
    return RoutedView(place, beginning, experiment, result)


def load(workdir: str, task: TaskName, replica: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """A task's model from the directory of a complete training.

    Args:
      workdir: of the training.
      task: whose model.
      replica: of which seed, from the first.

    Returns:
      A function of a batch of inputs: numbers, or float32 images in [0, 1] of the network's size and channels, white
      on black or black on white as the data have them.

    Raises:
      WorkdirError: there is no complete training.
      UserError: there is no such task or replica.
      CorruptionError: a file is damaged.
    """
    opened = open_routed(workdir)
    model, experiment = opened.model(task, replica), opened.experiment

    @jax.jit
    def answered(inputs: Float[Array, "n ..."]) -> Float[Array, "n outputs"]:
        return model(inputs if experiment.made else images_of(experiment).from_shares(inputs))

    return lambda inputs: np.asarray(answered(jnp.asarray(inputs, jnp.float32)))
