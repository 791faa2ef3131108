"""Settings spread over the search space: a stratified draw for the children of an `explore` stage.

Of n children each takes one of n equal strata of every setting's distribution, in an order of its own for each setting
(a Latin hypercube): the values come up as often as their weights say, and not by luck all the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from munet.config import Experiment
from munet.evolution import evidence
from munet.evolution.evidence import Evidence
from munet.evolution.search_space import select, values_of
from munet.rng import Draws
from munet.types import Hyperparameters, HyperparameterValue, Mutation

# What decides shapes: a child has its parent's layers, and its parent's image size costs what the others' does.
_OF_SHAPES = ("image_size", "adapter_dim", "lora_rank")


def raced_names(experiment: Experiment, names: Sequence[str]) -> tuple[str, ...]:
    """Of these settings those that a race compares: none without auto-tuning, none with a single value, no shapes."""
    return tuple(
        name
        for name in names
        if experiment.auto_tune and name not in _OF_SHAPES and len(values_of(experiment, name)) > 1
    )


def spread(
    experiment: Experiment, known: Evidence, names: Sequence[str], draws: Draws, count: int, *, crops_only: bool = False
) -> list[dict[str, HyperparameterValue]]:
    """Values of the settings called `names`, for each of `count` children.

    Args:
      experiment: whose search space it is.
      known: what earlier races say; it weighs the values.
      names: settings that evolve.
      draws: the generation's.
      count: how many children.
      crops_only: draws no whole images, where the search space has crops beside them.
    """
    found: list[dict[str, HyperparameterValue]] = [{} for _ in range(count)]
    for name in names:
        weights = evidence.weights(experiment, known, name)
        if crops_only and name == "crop_area_min":
            weights = _without_whole_images(weights, values_of(experiment, name))
        order = sorted(range(count), key=lambda child: draws.uniform("stratum", name, child))
        for stratum, child in enumerate(order):
            quantile = (stratum + draws.uniform("inside", name, child)) / count
            found[child][name] = values_of(experiment, name)[_at(weights, quantile)]
    return found


def as_mutations(before: Hyperparameters, after: Hyperparameters) -> list[Mutation]:
    """The settings that differ, as mutations of a child."""
    return [
        Mutation("hyperparameter", name, before[name], value)
        for name, value in select(after, list(after)).items()
        if before[name] != value
    ]


def _without_whole_images(weights: Sequence[float], areas: Sequence[HyperparameterValue]) -> tuple[float, ...]:
    """The weights of crops alone, adding up to 1; as they are where there is none."""
    left = [weight if float(area) < 1 else 0.0 for weight, area in zip(weights, areas, strict=True)]
    whole = math.fsum(left)
    return tuple(weight / whole for weight in left) if whole else tuple(weights)


def _at(weights: Sequence[float], quantile: float) -> int:
    """The index of the value at a quantile of the distribution."""
    total = 0.0
    for index, weight in enumerate(weights):
        total += weight
        if quantile < total:
            return index
    return max(index for index, weight in enumerate(weights) if weight)  # rounding left a little above all of them
