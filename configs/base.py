"""A start for your own tasks: every setting at its default, the paper's budget a phase, nothing to compare with.

    munet evolve --config=base --workdir=runs/mine --config.tasks=npz:/data/birds.npz,npz:/data/leaves.npz \
        --config.root=/data/Ti_16.npz --config.variant=Ti/16 --config.defaults.image_size=64

Cost: `--dry_run` says; with tasks of some thousand images, hours on a laptop (there, lower num_generations,
children_per_generation and max_batches_per_cycle).
Expected result: one model a task, which `munet status` shows; add --config.compare=full to see what full fine-tuning
gives for the same number of images.
"""

from __future__ import annotations

from munet.config import Config, Experiment


def get_config() -> Config:
    """The defaults of munet/config.py; the task and the root are placeholders to be named on the command line."""
    return Config(
        Experiment(tasks=("builtin:digits",), root="demo", variant="demo/16", num_blocks=3, max_seed_parents=8)
    )
