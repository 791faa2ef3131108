"""The grid of settings that a tuned baseline tries: what a practitioner does before believing in a method.

Learning rates times augmentations, each combination from the root with an equal share of the images; the best by
validation is what counts. Which rates and which augmentations stands in the config, and the docs name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from munet.config import Experiment
from munet.evolution.stages import is_tuned
from munet.types import HyperparameterValue

_NO_COLOURS = {"brightness_delta": 0.0, "contrast_delta": 0.0, "saturation_delta": 0.0, "hue_delta": 0.0}
AUGMENTATIONS: Mapping[str, Mapping[str, HyperparameterValue]] = {
    "defaults": {},  # those of `experiment.defaults`: in the paper's configs crops from 5% and flips
    "light": {"crop_area_min": 0.5, "crop_aspect_min": 0.75, "flip": False, **_NO_COLOURS},
    "none": {"crop_area_min": 1.0, "crop_aspect_min": 1.0, "flip": False, **_NO_COLOURS},
}


def settings(experiment: Experiment) -> list[dict[str, HyperparameterValue]]:
    """What each replica of a baseline has that is not a default: the grid's combinations, or nothing."""
    baseline = experiment.baseline
    if not is_tuned(experiment):
        return [{} for _ in range(baseline.replicas or experiment.children_per_generation)]
    return [
        {"learning_rate": rate, **AUGMENTATIONS[augmentation]}
        for augmentation in baseline.augmentations
        for rate in baseline.learning_rates
    ]
