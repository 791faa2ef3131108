"""What a model costs to run, beside its size: forward FLOPs and measured latency, as shares of the root's.

Both extend Eq. 2 in its own form: `score = q * s^(accounted / root) * s_flops^(FLOPs / root's) * s_latency^(latency /
root's)`. FLOPs follow from the architecture. A latency is a measurement, so it is recorded in the journal before
anything is decided by it, and replay measures nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection

from munet.config import Experiment
from munet.evolution.state import EvolutionError
from munet.types import ComponentName, Hyperparameters
from munet.vit import architecture, flops

ROOT_CLASSES = 2  # of the head that the root is given where it is the normaliser, as for its parameters


def penalty(
    experiment: Experiment,
    names: Collection[ComponentName],
    hyperparameters: Hyperparameters,
    num_classes: int,
    *,
    latency: float | None,
    root_latency: float | None,
) -> float:
    """The factor of the score for FLOPs and latency; exactly 1 where both are off.

    Args:
      experiment: the configuration (`flops_factor`, `latency_factor`).
      names: the model's components.
      hyperparameters: the model's.
      num_classes: of its head.
      latency, root_latency: seconds an image as the journal has them; matter where `latency_factor` is below 1.

    Raises:
      EvolutionError: latency counts, but was not measured.
    """
    result = 1.0
    if experiment.flops_factor < 1:
        result *= math.pow(experiment.flops_factor, relative_flops(experiment, names, hyperparameters, num_classes))
    if experiment.latency_factor < 1:
        if latency is None or root_latency is None:
            raise EvolutionError(
                f"experiment.latency_factor = {experiment.latency_factor} asks for measured latencies, but the journal "
                "has none of this model: it was written without. Start in a new work directory."
            )
        result *= math.pow(experiment.latency_factor, latency / root_latency)
    return result


def relative_flops(
    experiment: Experiment, names: Collection[ComponentName], hyperparameters: Hyperparameters, num_classes: int
) -> float:
    """Forward FLOPs as a share of the root's."""
    variant = architecture.get_variant(experiment.variant)
    return flops.forward(variant, names, hyperparameters, num_classes) / root_flops(experiment)


def root_flops(experiment: Experiment) -> int:
    """Forward FLOPs of the root at the default image size with a 2-class head, as `judging.root_params` has it."""
    return _root_flops(experiment.variant, experiment.num_blocks, experiment.defaults.image_size)


@functools.cache  # asked for with every score
def _root_flops(variant: str, num_blocks: int, image_size: int) -> int:
    names = architecture.path_names(num_blocks)
    return flops.forward(architecture.get_variant(variant), names, {"image_size": image_size}, ROOT_CLASSES)


def structure(names: Collection[ComponentName], hyperparameters: Hyperparameters, num_classes: int) -> str:
    """What decides how long a forward pass takes, as a word: models of one structure have one latency."""
    blocks = sum(map(architecture.is_block, names))
    adapters, loras = (
        [name for name in names if kind(name)] for kind in (architecture.is_adapter, architecture.is_lora)
    )
    parts = [f"i{hyperparameters['image_size']}", f"b{blocks}", f"c{num_classes}"]
    if adapters:
        parts.append(f"a{hyperparameters['adapter_dim']}@{_indices(adapters)}")
    if loras:
        parts.append(f"r{architecture.lora_rank(hyperparameters)}@{_indices(loras)}")
    return ":".join(parts)


def penalised_for(experiment: Experiment) -> list[str]:
    """What the score of this run is penalised for, in words."""
    factors = {
        "size": experiment.scale_factor,
        "FLOPs": experiment.flops_factor,
        "latency": experiment.latency_factor,
    }
    return [name for name, factor in factors.items() if factor < 1]


def _indices(names: Collection[ComponentName]) -> str:
    return ",".join(str(architecture.layer_index(name)) for name in names)
