"""The settings of a race on a small budget, which config files start from.

docs/howto/small_budgets.md says what each of them is for.
"""

from __future__ import annotations

from munet.config.evolve import Defaults, Experiment, SearchSpace


def race(experiment: Experiment, images_per_task: int) -> None:
    """Makes an experiment a race, in place.

    Args:
      experiment: its tasks, root and image sizes stay; what a race says is set.
      images_per_task: the budget, everything together.
    """
    experiment.num_task_iterations = 1
    experiment.stages, experiment.images_per_task = ("race",), images_per_task
    experiment.new_heads, experiment.version_choice = "class_means", "latest_within_error"
    experiment.crops_above_passes = 150  # 204 over whole images were memorised, 137 were not
    experiment.max_seed_parents = 2
    experiment.batch_size = 64  # more steps for the same images; a cycle is ten of them
    experiment.max_batches_per_cycle, experiment.min_batches_per_cycle = 10, 10
    experiment.max_validation_batches = 16
    # Short lists with long steps, high rates among them: a race of eight cannot tell more apart.
    experiment.search_space = SearchSpace(
        learning_rate=(0.02, 0.05, 0.1, 0.2),
        schedule=("cosine",),
        warmup_ratio=(0.1,),
        momentum=(0.9,),
        nesterov=(False,),
        crop_area_min=(0.3, 0.6, 1.0),
        crop_aspect_min=(0.75,),
        flip=(False,),  # whether flips harm shows late: eight short trainings cannot tell
        brightness_delta=(0.0,),
        contrast_delta=(0.0,),
        saturation_delta=(0.0,),
        hue_delta=(0.0,),
    )
    experiment.defaults = Defaults(learning_rate=0.05, crop_area_min=1.0, flip=False)
