"""The model of one task after training: a network of the components in its row, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet.config.routing import RoutingExperiment
from munet.errors import UserError, WorkdirError, nearest
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import networks
from munet.methods.gumbel_matrix.network import HEAD, Layer, Network, component_name
from munet.methods.gumbel_matrix.result import ROUTING
from munet.methods.gumbel_matrix.routing import Combination
from munet.store import codec
from munet.types import TaskName


@dataclass(frozen=True)
class Model:
    """What one task computes.

    Attributes:
      network: with the components in its row only.
      params: of these, by their names in that network; the head's too.
      combination: of the components of a layer.
    """

    network: Network
    params: Mapping[str, Mapping[str, Any]]
    combination: Combination = "mean"

    def __call__(self, inputs: Float[Array, "n ..."]) -> Float[Array, "n outputs"]:
        """Logits of the task's classes, or its values. May be compiled."""
        rows = [jnp.ones(width) for width in self.network.widths]
        features = self.network.features(self.params, rows, inputs, self.combination)
        features = features.reshape(len(features), -1)
        if not self.network.has_heads:
            return features
        head = self.params[HEAD]
        return features @ head["kernel"] + head["bias"]


def model_of(
    network: Network,
    rows: Sequence[str],
    params: Mapping[str, Mapping[str, Any]],
    combination: Combination = "mean",
) -> Model:
    """The model of a task.

    Args:
      network: all of it.
      rows: of the task, by routed layer: 1 for what it uses.
      params: of at least what it uses, by name, and its own head.
      combination: of the components of a layer.
    """
    layers, own = [], {name: leaves for name, leaves in params.items() if ".component_" not in name}
    left = iter(rows)
    shapes = network.shapes()
    for number, layer in enumerate(network.layers):
        row = next(left) if number in network.routed else "1"
        used = [place for place, is_used in enumerate(row) if is_used == "1"]
        for new, place in enumerate(used):
            if leaves := params.get(component_name(number, place)):
                own[component_name(number, new)] = leaves
        chains = tuple(layer.components[place] for place in used)
        layers.append(Layer(chains, layer.after, () if chains else layer.output(shapes[number])))
    return Model(replace(network, layers=tuple(layers)), own, combination)


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
