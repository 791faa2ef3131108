"""Settings: their classes and defaults, which users' config files import from here (`munet.config.Config`)."""

from __future__ import annotations

from munet.config.evolve import (
    BEFORE,
    Baseline,
    Config,
    Defaults,
    Experiment,
    Fidelity,
    Runtime,
    SearchSpace,
    as_begun,
    completed,
    differences,
    field_paths,
    to_json,
    without_places,
)

__all__ = [
    "BEFORE",
    "Baseline",
    "Config",
    "Defaults",
    "Experiment",
    "Fidelity",
    "Runtime",
    "SearchSpace",
    "as_begun",
    "completed",
    "differences",
    "field_paths",
    "to_json",
    "without_places",
]
