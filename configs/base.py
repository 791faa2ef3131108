"""A start for your own tasks: a race of settings, then the best one to the end, on a budget of images a task.

    munet evolve --config=base --workdir=runs/mine --config.tasks=npz:/data/birds.npz,npz:/data/leaves.npz \
        --config.root=/data/Ti_16.npz --config.variant=Ti/16 --config.defaults.image_size=64
    munet evolve --config=base:quick --workdir=runs/look --config.tasks=folder:/data/birds    # a first look

Variants: `full` (81,920 training images a task), `quick` (20,480), `small` (20,480; every task trains adapters, norm
and head, and shares the rest) and `paper` (the paper's phases of 64 children with single steps from the defaults, 8
seed parents by fit: for budgets of millions of images a task).

Cost: `--dry_run` says; `--config.images_per_task=N` changes it. `base:quick` takes about a minute a task on two CPU
cores, whatever the task's size.
Expected result: one model a task, which `munet status` shows; add --config.compare=tuned to see what fine-tuning gives
that tries four settings with as many images. docs/howto/small_budgets.md says what to change when.
"""

from __future__ import annotations

from munet.config import Config, Experiment
from munet.config.race import race
from munet.errors import UserError, nearest

_VARIANTS = ("full", "quick", "small", "paper")
IMAGES = {"full": 81_920, "quick": 20_480, "small": 20_480}


def get_config(variant: str = "full") -> Config:
    """The settings of a variant; tasks are named on the command line.

    Raises:
      UserError: no such variant.
    """
    if variant not in _VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, _VARIANTS)}")
    experiment = Experiment(tasks=(), root="demo", variant="demo/16", num_blocks=3, max_seed_parents=8)
    experiment.seed_choice = "fit"
    if variant != "paper":
        race(experiment, IMAGES[variant])
    if variant == "small":
        experiment.clone_probability, experiment.insertion_probability = 0.0, 1.0
        experiment.scale_factor, experiment.root_users = 0.3, "all_tasks"
    return Config(experiment)
