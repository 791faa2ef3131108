"""The stages of a run's phases, and how the budget of a phase is shared among them.

To add a kind of stage: name it in `config/stages.py`, give it a share here, and build its children in `controller.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from munet.config import Experiment
from munet.config.stages import Stage, parse

# What stages without cycles take of a phase's images, relative to each other.
SHARES: Mapping[str, float] = {"evolve": 1.0, "explore": 0.25, "narrow": 0.15, "train": 0.6}


def stages(experiment: Experiment) -> tuple[Stage, ...]:
    """The stages of every phase of a run, baselines' too."""
    if experiment.baseline.kind:
        return (_replicas(experiment),)
    if experiment.stages:
        return parse(experiment.stages)
    one = Stage("evolve", experiment.children_per_generation, experiment.cycles_per_child)
    return (one,) * experiment.num_generations


def _replicas(experiment: Experiment) -> Stage:
    """The children of a baseline, which share all images that evolution has for a task equally."""
    baseline = experiment.baseline
    children = baseline.replicas or experiment.children_per_generation
    if is_tuned(experiment):
        children = len(baseline.learning_rates) * len(baseline.augmentations)
    cycles = cycles_of_evolution(experiment)
    return Stage("replicas", children, 0 if cycles is None else max(cycles // children, 1))


def cycles_of_evolution(experiment: Experiment) -> int | None:
    """Cycles that all children of a task train together in an evolved run, or in the one that a baseline is beside.

    None: a budget of images says how many, for some stages name none.
    """
    evolving = stages(replace(experiment, baseline=replace(experiment.baseline, kind="")))
    if any(stage.trains and not stage.cycles for stage in evolving):
        return None
    return experiment.num_task_iterations * sum(stage.children * stage.cycles for stage in evolving)


def is_tuned(experiment: Experiment) -> bool:
    """Whether a baseline tries a grid of settings instead of equal replicas."""
    return experiment.baseline.kind.startswith("tuned")


def trained_kind(experiment: Experiment) -> str:
    """What a baseline trains, tuned or not: `full` for `tuned`, `adapters` for `tuned_adapters`."""
    kind = experiment.baseline.kind
    return kind.removeprefix("tuned_") if kind != "tuned" else "full"


def cycles(experiment: Experiment, place: int, images_left: int, images_per_cycle: int) -> int:
    """Cycles that each child of a stage trains.

    Args:
      experiment: the configuration.
      place: the stage's among those of the phase.
      images_left: of the phase's budget, before the stage.
      images_per_cycle: that a child sees in a cycle.
    """
    every = stages(experiment)
    stage = every[place]
    if stage.cycles or not stage.trains:
        return stage.cycles
    fixed = sum(one.children * one.cycles for one in every[place:]) * images_per_cycle
    others = sum(SHARES.get(one.kind, 1.0) for one in every[place:] if one.trains and not one.cycles)
    own = max(images_left - fixed, 0) * SHARES.get(stage.kind, 1.0) / others
    return max(int(own // (stage.children * images_per_cycle)), 1)
