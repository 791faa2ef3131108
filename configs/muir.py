"""MUiR: tasks of any architecture share modules by an evolving alignment (Meyerson and Miikkulainen, 2019).

    munet train --config=muir:synthetic --workdir=runs/muir

Variants: `synthetic` (the default: thirty linear tasks of three groups, the authors' data), with `noisy`, `random`,
`oracle`, `single`, `framework` (PyTorch's initial values, of `single`) and `lambda_4` after commas: `synthetic,noisy`.

Cost: about a minute on one CPU core; ten seeds side by side (`--config.replicas=10`) take about as long as two.
Expected result: tasks of a group end on one module, and test errors near 0 (noisy: near 0.37); docs/howto/muir.md.
"""

from __future__ import annotations

from typing import Any

from munet.config import MuirConfig, MuirExperiment
from munet.errors import UserError, nearest

DATA = "../shared/muir_synthetic/synthetic.npz"
NUM_TASKS, GROUP_SIZE = 30, 10
_CHANGES: dict[str, dict[str, Any]] = {
    "synthetic": {},
    "noisy": {},
    "random": {"sharing": "random"},
    "oracle": {"sharing": "given", "challengers": 0},
    "single": {
        "sharing": "separate",
        "context": 0,
        "challengers": 0,
        "generations": 1200,
        "final_generations": 0,
    },
    "framework": {"initial": "framework"},
    "lambda_4": {"challengers": 4},
}


def get_config(variant: str = "synthetic") -> MuirConfig:
    """The settings of a variant; whatever is not named here has its default in munet/config/muir.py.

    Raises:
      UserError: no such variant.
    """
    names = variant.split(",")
    for name in names:
        if name not in _CHANGES:
            raise UserError(f"there is no variant {name!r}. {nearest(name, _CHANGES)}")
    options = "&noisy=true" if "noisy" in names else ""
    experiment = MuirExperiment(
        tasks=tuple(f"muir:{DATA}?task={task}{options}" for task in range(NUM_TASKS)),
        groups=tuple(task // GROUP_SIZE for task in range(NUM_TASKS)),
    )
    for name in names:
        for field, value in _CHANGES[name].items():
            setattr(experiment, field, value)
    return MuirConfig(experiment)
