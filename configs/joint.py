"""One root fine-tuned on several tasks together, by gradient: what sharing costs and brings without evolution.

    munet train --config=joint:shared --workdir=runs/joint

Variants: `shared` (the default: one trunk for all tasks, a norm and a head each), `shared_adapters` (the root frozen,
one set of residual adapters for all), `separate` (a copy of the root for each task: nothing shared).

Cost: about a minute on two CPU cores. Root, image sizes, augmentation, SGD and schedule are those of the baselines that
evolution is compared with in configs/demo.py.
Expected result: a table of the four tasks; docs/howto/joint.md says what was measured.
"""

from __future__ import annotations

from munet.config import JointDefaults, TrainConfig, TrainExperiment
from munet.errors import UserError, nearest

TASKS = ("builtin:digits", "builtin:glyphs/cyrillic", "builtin:glyphs/armenian", "builtin:glyphs/arabic")


_VARIANTS = ("shared", "shared_adapters", "separate")


def get_config(variant: str = "shared") -> TrainConfig:
    """The settings of a variant; whatever is not named here has its default in munet/config/train.py.

    Raises:
      UserError: no such variant.
    """
    if variant not in _VARIANTS:
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, _VARIANTS)}")
    experiment = TrainExperiment(
        tasks=TASKS,
        method=variant,  # type: ignore[arg-type]  # one of the literals, as checked above
        num_rounds=300,
        batch_size=128,
        defaults=JointDefaults(learning_rate=0.05, crop_area_min=0.5, flip=False),
    )
    return TrainConfig(experiment)
