"""The demo: from a root that ships with munet to one system for four character tasks, on a laptop and offline.

    munet evolve                      # or ./launch/local.sh in a fresh clone
    munet evolve --config=demo --config.seed=1

Cost: about four minutes on two CPU cores and below 3 GiB, the comparison with the baselines included.
Expected result: a table of muNet against a multi-head and full fine-tuning, all with the same root and the same
number of training images; the README shows one.
"""

from __future__ import annotations

from munet.config import Config, Experiment, Runtime, SearchSpace


def get_config() -> Config:
    """The settings; whatever is not named here has its default in munet/config/evolve.py."""
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
        num_task_iterations=2,
        num_generations=8,
        children_per_generation=2,
        cycles_per_child=2,
        batch_size=80,
        mutation_probability=0.2,  # the paper's 0.1 is for phases of 64 children, not of 16
        max_batches_per_cycle=10,
        max_seed_parents=2,  # of a phase's 16 children
        search_space=SearchSpace(
            # Short lists with long steps: 16 children a phase cannot walk the paper's long ones.
            learning_rate=(0.002, 0.01, 0.05, 0.2),
            warmup_ratio=(0.1, 0.3),
            momentum=(0.8, 0.9, 0.98),
            crop_area_min=(0.05, 0.2, 0.5, 1.0),
            brightness_delta=(0.0,),
            contrast_delta=(0.0,),
            saturation_delta=(0.0,),
            hue_delta=(0.0,),
            image_size=(32,),  # one size, so that one program serves every task
        ),
    )
    return Config(experiment, Runtime(compare=("multi_head", "full")))
