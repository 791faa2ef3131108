"""A start for your own tasks: the paper's budget a phase, with the 8 seed parents that fit the new task best.

    munet evolve --config=base --workdir=runs/mine --config.tasks=npz:/data/birds.npz,npz:/data/leaves.npz \
        --config.root=/data/Ti_16.npz --config.variant=Ti/16 --config.defaults.image_size=64
    munet evolve --config=base:quick --workdir=runs/look --config.tasks=folder:/data/birds    # a first look, in minutes

Cost: `--dry_run` says; with tasks of some thousand images, hours on a laptop (there, lower num_generations,
children_per_generation and max_batches_per_cycle). `base:quick` takes about two minutes a task on two CPU cores,
whatever the task's size.
Expected result: one model a task, which `munet status` shows; add --config.compare=full to see what full fine-tuning
gives for the same number of images.
"""

from __future__ import annotations

from munet.config import Config, Experiment, SearchSpace
from munet.errors import UserError, nearest

_VARIANTS = ("full", "quick")


def get_config(variant: str = "full") -> Config:
    """Nearly the defaults of munet/config/evolve.py, or few and short phases; tasks are named on the command line.

    Raises:
      UserError: no such variant.
    """
    if variant not in _VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, _VARIANTS)}")
    experiment = Experiment(tasks=(), root="demo", variant="demo/16", num_blocks=3, max_seed_parents=8)
    experiment.seed_choice = "fit"
    if variant == "quick":
        experiment.num_task_iterations = 1
        experiment.num_generations = 6
        experiment.children_per_generation = 2
        experiment.cycles_per_child = 2
        experiment.batch_size = 80
        experiment.max_batches_per_cycle = 30
        experiment.mutation_probability = 0.2  # the paper's 0.1 is for phases of 64 children, not of 12
        experiment.max_seed_parents = 2
        # Short lists with long steps: 12 children cannot walk the paper's long ones. One image size: one program.
        experiment.search_space = SearchSpace(
            learning_rate=(0.002, 0.01, 0.05, 0.2),
            warmup_ratio=(0.1, 0.3),
            momentum=(0.8, 0.9, 0.98),
            crop_area_min=(0.05, 0.2, 0.5, 1.0),
            image_size=(32,),
        )
    return Config(experiment)
