"""The demo: from a root that ships with munet to one system for five character tasks, on a laptop and offline.

    munet evolve                      # or ./launch/local.sh in a fresh clone
    munet evolve --config=demo --config.seed=1

Cost: about four minutes on two CPU cores and below 3 GiB, the comparison with the baselines included.
Expected result: a table of muNet against a multi-head and full fine-tuning, all with the same root and the same
number of training images; the README shows one.
"""

from __future__ import annotations

from munet.config import Config, Experiment, Runtime, SearchSpace


def get_config() -> Config:
    """The settings; whatever is not named here has its default in munet/config.py."""
    experiment = Experiment(
        tasks=(
            "builtin:digits",
            "builtin:glyphs/greek",
            "builtin:glyphs/cyrillic",
            "builtin:glyphs/armenian",
            "builtin:glyphs/georgian",
        ),
        root="demo",
        variant="demo/16",
        num_blocks=3,
        num_task_iterations=2,
        num_generations=4,
        children_per_generation=4,
        cycles_per_child=3,
        batch_size=128,
        max_batches_per_cycle=10,
        max_seed_parents=4,  # of a phase's 16 children
        search_space=SearchSpace(image_size=(32,)),  # one size, so that one program serves every task
    )
    return Config(experiment, Runtime(compare=("multi_head", "full")))
