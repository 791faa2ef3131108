"""What is to be said of settings beside the tasks that they meet: not wrong, but rarely what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from munet.config import Experiment
from munet.evolution import schedule, stages
from munet.text import count
from munet.types import TaskInfo

_PASSES = 150  # over a task's images, above which one that is trained on whole images may be memorised
_MOST_NAMED = 3


def notes(experiment: Experiment, tasks: Sequence[TaskInfo]) -> Iterator[str]:
    """Sentences for whoever starts a run on some tasks, its baselines aside."""
    yield from _memorised(experiment, tasks)


def _memorised(experiment: Experiment, tasks: Sequence[TaskInfo]) -> Iterator[str]:
    """A race that draws whole images for many passes over few (docs/results/small_budgets.md)."""
    crops, budget = experiment.search_space.crop_area_min, experiment.images_per_task
    is_race = any(stage.kind == "explore" for stage in stages.stages(experiment))
    if experiment.baseline.kind or not (budget and is_race and experiment.auto_tune and max(crops) >= 1):
        return
    has_crops = min(crops) < 1
    small = [
        info
        for info in tasks
        if schedule.passes(experiment, info) > _PASSES
        and not (has_crops and schedule.races_crops_alone(experiment, info))
    ]
    if not small:
        return
    named = ", ".join(info.name for info in small[:_MOST_NAMED]) + (", ..." if len(small) > _MOST_NAMED else "")
    fewest = min(info.num_train for info in small)
    settings = f"crops_above_passes={_PASSES}" if has_crops else "search_space.crop_area_min=0.3,0.6"
    yield (
        f"{count(len(small), 'task')} ({named}) of {fewest:,} training images or more: experiment.images_per_task = "
        f"{budget:,} are up to {budget // fewest:,} passes over them, and a race that chooses whole images may "
        f"memorise them. Give a smaller budget, or crops alone: --config.{settings}"
        f"{'' if has_crops else ' --config.defaults.crop_area_min=0.6'}."
    )
