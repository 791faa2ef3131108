"""How long everything lasts, for evolution and for baselines on the same budget (spec section 5, "Budget")."""

from __future__ import annotations

from munet.config import Experiment


def is_baseline(experiment: Experiment) -> bool:
    """Whether the root is fine-tuned in a fixed way instead of evolved (spec section 6)."""
    return bool(experiment.baseline.kind)


def num_task_iterations(experiment: Experiment) -> int:
    """How often every task is active."""
    return 1 if is_baseline(experiment) else experiment.num_task_iterations


def num_generations(experiment: Experiment) -> int:
    """Generations in a phase."""
    return 1 if is_baseline(experiment) else experiment.num_generations


def most_seed_parents(experiment: Experiment) -> int:
    """Seed parents that a phase takes at most: it has no more children than it has."""
    children = num_generations(experiment) * experiment.children_per_generation
    return min(experiment.max_seed_parents or children, children)


def chooses_by_fit(experiment: Experiment, num_models: int) -> bool:
    """Whether a phase that might take `num_models` models as seed parents chooses among them by fit."""
    is_asked_for = experiment.seed_choice == "fit" and experiment.max_seed_parents > 0 and not is_baseline(experiment)
    return is_asked_for and num_models > most_seed_parents(experiment)


def num_entries(experiment: Experiment, num_tasks: int, num_phases: int) -> int:
    """Journal entries of a run's first phases, the start entry left out.

    Every phase has its generations and the entry that closes it, and one more where it chooses seed parents by fit: it
    might take the root and every other task's model, so the task at index i in the first iteration those of i tasks.
    """
    chosen = 0
    if chooses_by_fit(experiment, num_tasks):
        chosen = max(num_phases - most_seed_parents(experiment), 0)
    return num_phases * (num_generations(experiment) + 1) + chosen


def cycles_per_child(experiment: Experiment) -> int:
    """Train/validation cycles of one child; a baseline's replicas get the whole budget of a lineage at once."""
    if not is_baseline(experiment):
        return experiment.cycles_per_child
    return experiment.cycles_per_child * experiment.num_generations * experiment.num_task_iterations


def total_child_cycles(experiment: Experiment, num_tasks: int) -> int:
    """Cycles of all children of a whole run; equal for evolution and its baselines."""
    phases = num_tasks * num_task_iterations(experiment)
    children = num_generations(experiment) * experiment.children_per_generation
    return phases * children * cycles_per_child(experiment)


def streams_per_child(experiment: Experiment) -> bool:
    """Whether children of a generation see different batches.

    Children of a generation share one input pipeline; replicas of a baseline differ in nothing else, so they must not.
    """
    return is_baseline(experiment)
