"""Measures a published model, always in the same way, so that a value measured again must be equal.

Used for the test accuracy at a phase's end, by `munet verify` and by prediction: one path, one set of programs, one
device (spec section 5, "Test evaluation").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from munet import architecture
from munet.config import Experiment
from munet.data.tasks import Split
from munet.training import assemble, programs, signature
from munet.training.assemble import FlatArrays
from munet.training.placement import AXES
from munet.training.stream import evaluation_batches
from munet.types import ComponentName, Hyperparameters, Quality


@dataclass(frozen=True)
class Measurement:
    """Integer counts of a model on a set, by class."""

    correct_per_class: tuple[int, ...]
    counted_per_class: tuple[int, ...]

    @property
    def quality(self) -> Quality:
        """Over all classes."""
        return Quality(sum(self.correct_per_class), sum(self.counted_per_class))


def measure(
    experiment: Experiment,
    components: Mapping[ComponentName, FlatArrays],
    hyperparameters: Hyperparameters,
    split: Split,
    *,
    num_classes: int,
) -> Measurement:
    """Counts what a model gets right over a whole split.

    Args:
      experiment: the run's (architecture and resize method matter).
      components: the model's unpadded arrays by component name.
      hyperparameters: the model's (image size and adapter width matter).
      split: images and labels.
      num_classes: head outputs.
    """
    program_signature = signature.of_model(
        architecture.get_variant(experiment.variant),
        components,
        hyperparameters,
        num_blocks=experiment.num_blocks,
        num_classes=num_classes,
    )
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), AXES)
    program = programs.evaluate_program(program_signature, mesh)
    params: dict[ComponentName, Any] = {
        name: assemble.pad(components.get(name, {}), program_signature, name) for name in program_signature.names
    }
    gates = assemble.gates(
        components, program_signature, adapter_dim=int(hyperparameters["adapter_dim"]), num_classes=num_classes
    )
    params, gates = jax.tree.map(lambda leaf: np.asarray(leaf)[None], (params, gates))
    # Placed as the engine places them: otherwise its evaluation program would be compiled once more for here.
    by_child, replicated = NamedSharding(mesh, PartitionSpec("child")), NamedSharding(mesh, PartitionSpec())
    params, gates = jax.device_put((params, gates), by_child)
    correct = np.zeros(program_signature.head_size, np.int64)
    image_size = program_signature.image_size
    for piece in evaluation_batches(split, image_size=image_size, antialias=experiment.antialias):
        result = program(params, gates, *jax.device_put(piece[:3], replicated), jnp.int32(piece.num_batches))
        correct += np.asarray(result.correct_per_class[0])
    counted = np.bincount(split.labels, minlength=num_classes)
    return Measurement(tuple(int(n) for n in correct[:num_classes]), tuple(int(n) for n in counted))
