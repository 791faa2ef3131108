"""The demo: from a root that ships with munet to one system for four character tasks, on a laptop and offline.

    munet evolve                      # or ./launch/local.sh in a fresh clone
    munet evolve --config=demo --config.seed=1
    munet evolve --config=demo:paper --workdir=runs/paper    # the paper's phases: many generations of small steps

Cost: one to four minutes on two CPU cores and below 3 GiB, the comparison with the baselines included.
Expected result: a table of muNet against fine-tuning that is tuned on as many training images, and a multi-head;
docs/results/demo.md has it for three seeds.
"""

from __future__ import annotations

from munet.config import Config, Experiment, Runtime, SearchSpace
from munet.config.race import race
from munet.errors import UserError, nearest

_VARIANTS = ("race", "paper")
IMAGES = 20_480  # a task


def get_config(variant: str = "race") -> Config:
    """The settings of a variant; whatever is not named here has its default in munet/config/evolve.py.

    Raises:
      UserError: no such variant.
    """
    if variant not in _VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, _VARIANTS)}")
    experiment = Experiment(
        tasks=(
            "builtin:digits",
            "builtin:glyphs/cyrillic",
            "builtin:glyphs/armenian",
            "builtin:glyphs/arabic",
        ),
        root="demo",
        variant="demo/16",
        num_blocks=3,
    )
    if variant == "paper":
        _paper(experiment)
        return Config(experiment, Runtime(compare=("multi_head", "full")))
    experiment.seed_choice = "fit"
    race(experiment, IMAGES)
    experiment.clone_probability = 0.5  # what a child does not clone it shares; see docs/results/demo.md
    experiment.search_space.image_size = (32,)
    experiment.search_space.flip = (False, True)  # characters say which
    return Config(experiment, Runtime(compare=("tuned", "multi_head")))


def _paper(experiment: Experiment) -> None:
    """Phases as the paper has them, in place, of a size for a laptop."""
    experiment.num_task_iterations = 2
    experiment.num_generations, experiment.children_per_generation, experiment.cycles_per_child = 8, 2, 2
    experiment.batch_size, experiment.max_batches_per_cycle = 80, 10
    experiment.mutation_probability = 0.2  # the paper's 0.1 is for phases of 64 children, not of 16
    experiment.max_seed_parents = 2  # of a phase's 16 children
    # Short lists with long steps: 16 children a phase cannot walk the paper's long ones.
    experiment.search_space = SearchSpace(
        learning_rate=(0.002, 0.01, 0.05, 0.2),
        warmup_ratio=(0.1, 0.3),
        momentum=(0.8, 0.9, 0.98),
        crop_area_min=(0.05, 0.2, 0.5, 1.0),
        brightness_delta=(0.0,),
        contrast_delta=(0.0,),
        saturation_delta=(0.0,),
        hue_delta=(0.0,),
        image_size=(32,),  # one size, so that one program serves every task
    )
