"""The evolved hyper-parameters: names, defaults, and the one step a mutation moves.

All are ordered lists of values, categorical ones too. The number of blocks is not among them: it is a property of the
component list, mutates also without auto-tuning, and lives in `mutations.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from munet.config import Experiment
from munet.types import Hyperparameters, HyperparameterValue

# Shared by all children of a generation: they describe the one input pipeline.
DATA_SETTINGS = (
    "crop_area_min",
    "crop_aspect_min",
    "flip",
    "brightness_delta",
    "contrast_delta",
    "saturation_delta",
    "hue_delta",
    "image_size",
)
MODEL_SETTINGS = ("learning_rate", "schedule", "warmup_ratio", "momentum", "nesterov", "adapter_dim")
LORA_SETTINGS = ("lora_rank",)  # only of runs that have low-rank updates, so that all others are as they ever were


def insertions(experiment: Experiment) -> tuple[str, ...]:
    """What mutations may insert at a block: `adapter`, `lora`."""
    return tuple(kind for kind in experiment.insertions if kind != "adapter" or experiment.insert_adapters)


def model_settings(experiment: Experiment) -> tuple[str, ...]:
    """Names of the hyper-parameters that every model has for itself."""
    has_lora = experiment.baseline.kind.endswith("lora") or "lora" in insertions(experiment)
    return (*MODEL_SETTINGS, *LORA_SETTINGS) if has_lora else MODEL_SETTINGS


def default_hyperparameters(experiment: Experiment) -> dict[str, HyperparameterValue]:
    """The root's hyper-parameters, where every lineage starts."""
    return {name: getattr(experiment.defaults, name) for name in (*model_settings(experiment), *DATA_SETTINGS)}


def select(hyperparameters: Hyperparameters, names: Sequence[str]) -> dict[str, HyperparameterValue]:
    """The hyper-parameters called `names`, in that order."""
    return {name: hyperparameters[name] for name in names}


def values_of(experiment: Experiment, name: str) -> Sequence[HyperparameterValue]:
    """The ordered values of a hyper-parameter."""
    values: Sequence[HyperparameterValue] = getattr(experiment.search_space, name)
    return values


def other(values: Sequence[HyperparameterValue], value: HyperparameterValue, share: float) -> HyperparameterValue:
    """One of the values in `values` but `value`: the one at `share`, in [0, 1), of their list."""
    others = [one for one in values if one != value]
    return others[int(share * len(others))]


def step(values: Sequence[HyperparameterValue], value: HyperparameterValue, *, up: bool) -> HyperparameterValue:
    """The neighbour of `value` in `values`; `value` itself at the end of the list.

    Raises:
      ValueError: `value` is not in the list.
    """
    index = list(values).index(value) + (1 if up else -1)
    return values[min(max(index, 0), len(values) - 1)]
