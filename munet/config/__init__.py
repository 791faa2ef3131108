"""Settings: their classes and defaults, which users' config files import from here (`munet.config.Config`)."""

from __future__ import annotations

from munet.config.config_dicts import default
from munet.config.differences import BEFORE, as_begun, completed, differences, to_json, with_changes, without_places
from munet.config.evolve import Baseline, Config, Defaults, Experiment, Fidelity, Runtime, SearchSpace
from munet.config.muir import MuirConfig, MuirExperiment
from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe
from munet.config.routing import RoutingConfig, RoutingExperiment
from munet.config.train import JointDefaults, TrainConfig, TrainExperiment, TrainRuntime
from munet.config.variants import apply

__all__ = [
    "BEFORE", "Baseline", "Config", "Defaults", "Experiment", "Fidelity", "JointDefaults", "MuirConfig",
    "MuirExperiment", "PretrainConfig", "PretrainRuntime", "Recipe", "RoutingConfig", "RoutingExperiment", "Runtime",
    "SearchSpace", "TrainConfig",
    "TrainExperiment", "TrainRuntime", "apply", "as_begun", "completed", "default", "differences", "to_json",
    "with_changes", "without_places",
]  # fmt: skip
