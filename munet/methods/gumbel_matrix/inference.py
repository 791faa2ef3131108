"""The model of one task after training: a network of the components in its row, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from munet.data.splits import Split
from munet.methods.gumbel_matrix.network import HEAD, Layer, Network, component_name
from munet.methods.gumbel_matrix.routing import Combination
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure import evaluation
from munet.training.measure.evaluation import Measurement
from munet.vit.products import exact_products


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

    @property
    def num_outputs(self) -> int:
        """Classes, or values."""
        if self.network.has_heads:
            return int(self.params[HEAD]["bias"].shape[0])
        return self.network.num_features

    @exact_products()
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


def measure(model: Model, prepared: Callable[[Array], Array], split: Split, resize: Resize) -> Measurement:
    """Counts what a model gets right over a split, as tests are measured and `munet verify` measures them again.

    Args:
      model: of the task.
      prepared: makes inputs of images in [-1, 1] with three channels.
      split: images and labels.
      resize: to the size that the model sees.
    """
    predicted, found = jax.jit(lambda images: _classes(model(prepared(images)))), []
    for piece in evaluation_batches(split, resize):
        classes = [np.asarray(predicted(piece.images[batch])) for batch in range(piece.num_batches)]
        rest = [np.zeros_like(classes[0])] * (len(piece.images) - piece.num_batches)
        found.append(piece.without_padding(np.stack(classes + rest)))
    every = np.concatenate(found).astype(np.int32)
    return evaluation.count(every, split.labels, num_classes=model.num_outputs, metric="accuracy")


def _classes(logits: Float[Array, "n classes"]) -> Int[Array, " n"]:
    """The most probable ones; -1, which is wrong, where an output is not finite."""
    return jnp.where(jnp.isfinite(logits).all(axis=1), logits.argmax(axis=1), -1)
