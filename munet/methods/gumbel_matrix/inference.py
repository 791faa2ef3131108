"""The model of one task after training: a network of the components in its row, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from munet.methods.gumbel_matrix.network import HEAD, Layer, Network, component_name
from munet.methods.gumbel_matrix.routing import Combination


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
