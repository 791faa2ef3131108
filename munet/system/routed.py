"""The models of a complete routed training, opened from its directory task by task."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from munet.config.routing import RoutingExperiment
from munet.errors import UserError, WorkdirError, nearest
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import networks
from munet.methods.gumbel_matrix.inference import model_of
from munet.methods.gumbel_matrix.result import ROUTING
from munet.store import codec
from munet.types import TaskName


def load(workdir: str, task: TaskName, replica: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """A task's model from the directory of a complete training, every byte of it checked.

    Args:
      workdir: of the training.
      task: whose model.
      replica: of which seed, from the first.

    Returns:
      A function of a batch of inputs: float32 images in [0, 1], or numbers.

    Raises:
      WorkdirError: there is no complete training.
      UserError: there is no such task or replica.
      CorruptionError: a file is damaged.
    """
    place = Workdir(workdir, ROUTING)
    beginning, result = place.beginning(), place.result()
    if beginning is None or result is None:
        raise WorkdirError(f"{workdir} holds no complete routed training.")
    if not 0 <= replica < len(result.replicas):
        raise UserError(f"{workdir} has replicas 0 to {len(result.replicas) - 1}, not {replica}.")
    tasks = result.replicas[replica].tasks
    if task not in tasks:
        raise UserError(f"{workdir} has no task {task!r}. {nearest(task, tasks)}")
    experiment = codec.from_json(RoutingExperiment, beginning.experiment, place.location(ROUTING.start))
    found = tasks[task]
    params = {name: place.components.load(identity) for name, identity in found.components.items()}
    model = model_of(networks.network(experiment), found.rows, params, experiment.combination)
    compiled = jax.jit(model.__call__)
    return lambda inputs: np.asarray(compiled(jnp.asarray(inputs, jnp.float32)))
