"""How long everything lasts, for evolution and for baselines on the same budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from munet.config import Experiment
from munet.data import loader
from munet.errors import UserError
from munet.evolution import stages
from munet.types import TaskInfo

FORWARD_SHARE = 3  # forward passes that cost as much as training on an image: forward and backward, twice as long
_FEWEST_STAGES, _FEWEST_CHILDREN, _SMALL_BATCH = "explore:2,train:1", 3, 16  # what a refused budget is told to take


def is_baseline(experiment: Experiment) -> bool:
    """Whether the root is fine-tuned in a fixed way instead of evolved."""
    return bool(experiment.baseline.kind)


def num_task_iterations(experiment: Experiment) -> int:
    """How often every task is active."""
    return 1 if is_baseline(experiment) else experiment.num_task_iterations


def num_generations(experiment: Experiment) -> int:
    """Generations in a phase, one for each of its stages."""
    return len(stages.stages(experiment))


def num_children(experiment: Experiment) -> int:
    """Children in a phase."""
    return sum(stage.children for stage in stages.stages(experiment))


def most_children(experiment: Experiment) -> int:
    """Children of the largest generation."""
    return max(stage.children for stage in stages.stages(experiment))


def most_seed_parents(experiment: Experiment) -> int:
    """Seed parents that a phase takes at most: it has no more children than it has."""
    children = num_children(experiment)
    return min(experiment.max_seed_parents or children, children)


def chooses_by_fit(experiment: Experiment, num_models: int) -> bool:
    """Whether a phase that might take `num_models` models as seed parents chooses among them by fit."""
    is_asked_for = experiment.seed_choice == "fit" and experiment.max_seed_parents > 0 and not is_baseline(experiment)
    return is_asked_for and num_models > most_seed_parents(experiment)


def images_per_cycle(experiment: Experiment, task: TaskInfo) -> int:
    """Training images that a child sees in a cycle."""
    batch = loader.effective_batch_size(task.num_train, experiment)
    return batch * loader.steps_per_cycle(task.num_train, experiment)


def images_per_phase(experiment: Experiment) -> int:
    """The budget of a phase in training images; 0: there is none, and every stage names its cycles."""
    return experiment.images_per_task // num_task_iterations(experiment)


def passes(experiment: Experiment, task: TaskInfo) -> float:
    """How often a phase's budget goes through a task's images, all of it together; 0: there is no budget."""
    return images_per_phase(experiment) / task.num_train


def races_crops_alone(experiment: Experiment, task: TaskInfo) -> bool:
    """Whether a phase is so many passes over a task's images that whole ones are not to be drawn."""
    return 0 < experiment.crops_above_passes < passes(experiment, task)


def cycles(experiment: Experiment, task: TaskInfo, generation: int, images_spent: int) -> int:
    """Train/validation cycles of each child of a generation.

    Args:
      experiment: the configuration.
      task: the active task.
      generation: which of the phase.
      images_spent: in the phase before it, forward passes counted by `as_images`.
    """
    left = images_per_phase(experiment) - images_spent
    return stages.cycles(experiment, generation, left, images_per_cycle(experiment, task))


def as_images(forward_passes: int) -> int:
    """Training images that cost as much as some forward passes, rounded up."""
    return -(-forward_passes // FORWARD_SHARE)


def planned_cycles(experiment: Experiment, task: TaskInfo) -> tuple[int, ...]:
    """Cycles of each child of every generation of a phase, if every child trains to its end.

    What forward passes cost (fits, class means) is not known before, and shortens the later ones.
    """
    spent, planned = 0, []
    one = images_per_cycle(experiment, task)
    for generation, stage in enumerate(stages.stages(experiment)):
        planned.append(cycles(experiment, task, generation, spent))
        spent += stage.children * planned[-1] * one
    return tuple(planned)


def images_of_phase(experiment: Experiment, task: TaskInfo) -> int:
    """Training images of a phase, all children together, if every child trains to its end."""
    planned = zip(stages.stages(experiment), planned_cycles(experiment, task), strict=True)
    return images_per_cycle(experiment, task) * sum(stage.children * number for stage, number in planned)


def images_of_run(experiment: Experiment, tasks: Sequence[TaskInfo]) -> int:
    """Training images that all children of a run on these tasks see."""
    return num_task_iterations(experiment) * sum(images_of_phase(experiment, task) for task in tasks)


def check_budget(experiment: Experiment, task: TaskInfo) -> None:
    """Whether a phase's budget pays at least a cycle for each of its children.

    Raises:
      UserError: it does not; the message says what would.
    """
    budget, needed = images_per_phase(experiment), images_of_phase(experiment, task)
    if 0 < budget < needed:
        one = images_per_cycle(experiment, task)
        iterations = num_task_iterations(experiment)
        listed = ", ".join(map(str, stages.stages(experiment)))
        batches = budget * one // (needed * experiment.batch_size)  # of any task: none has larger ones
        while batches and not _pays(
            replace(experiment, max_batches_per_cycle=batches, min_batches_per_cycle=batches), task
        ):
            batches -= 1
        while not _pays(more := replace(experiment, images_per_task=needed * iterations), task):
            needed = images_of_phase(more, task)  # its first stages take some of what it has more
        fewest = budget // (_FEWEST_CHILDREN * _SMALL_BATCH)
        if batches:
            instead = f", or make cycles shorter ({_cycles_of(batches)})"
        elif fewest:
            few = f"--config.stages={_FEWEST_STAGES} --config.batch_size={_SMALL_BATCH} {_cycles_of(fewest)}"
            instead = f", or take fewer children or smaller batches ({few})"
        else:
            instead = ""
        raise UserError(
            f"experiment.images_per_task = {experiment.images_per_task:,} does not pay for the stages of "
            f"{task.name!r}: a cycle of it is {one:,} images, and {listed} need at least "
            f"{needed:,}. Give --config.images_per_task={needed * iterations} or more{instead}."
        )


def _pays(experiment: Experiment, task: TaskInfo) -> bool:
    """Whether a phase's budget pays for all of its children."""
    return images_of_phase(experiment, task) <= images_per_phase(experiment)


def _cycles_of(batches: int) -> str:
    return f"--config.max_batches_per_cycle={batches} --config.min_batches_per_cycle={batches}"


def streams_per_child(experiment: Experiment) -> bool:
    """Whether children of a generation see different batches.

    Children of a generation share one input pipeline; replicas of a baseline differ in nothing else, so they must not.
    """
    return is_baseline(experiment)
