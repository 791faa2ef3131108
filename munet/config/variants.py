"""Variants of the paper's configs: the names after the colon of `--config=characters:scale_0.3,no_autotune`.

The paper's comparisons are the same on every benchmark, so they are here once; a config file adds what is its own, such
as a reduced budget.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from munet.config.evolve import BASELINES, Baseline, Config
from munet.errors import UserError, nearest

Change = Callable[[Config], None]


def apply(config: Config, names: str, own: Mapping[str, Change]) -> Config:
    """Changes `config` in place as variants ask, and returns it.

    Args:
      config: what the file starts from; a `ConfigDict` of `munet.config.default` is changed in the same way.
      names: joined by commas, applied in order. `munet` (nothing changed), `no_autotune`, `no_adapters`, `scale_S`
        (score's scale factor), `multi_head`, `top_layers_K` (the K lowest blocks frozen), `adapters_D` (residual
        adapters of width D), `full`, and those of `own`. Beyond the paper: `lora_R` (the baseline, rank R) and
        `insert_lora` (as an insertion mutation beside the adapter).
      own: further variants by name.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    known = {**_SHARED, **own}
    for name in names.split(","):
        _apply(config, name.strip(), known)
    if config.experiment.baseline.kind:
        config.runtime.compare = ()  # a baseline is what others are compared with
    return config


def _apply(config: Config, name: str, known: Mapping[str, Change]) -> None:
    if name in known:
        known[name](config)
        return
    prefix, _, number = name.rpartition("_")
    try:
        if prefix == "scale":
            config.experiment.scale_factor = float(number)
        elif prefix in _NUMBERED:
            _set_baseline(config, prefix, **{_NUMBERED[prefix]: int(number)})
        else:
            raise UserError(f"there is no variant {name!r}. {nearest(name, (*known, *_EXAMPLES))}")
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"variant {name!r}: {number!r} is not the number expected after {prefix + '_'!r}.") from error


def _set_baseline(config: Config, kind: str, **numbers: int) -> None:
    changed = {"kind": kind, **numbers}
    for name, value in (dataclasses.asdict(Baseline()) | changed).items():
        setattr(config.experiment.baseline, name, value)


def _set(name: str, value: Any) -> Change:
    return lambda config: setattr(config.experiment, name, value)


def _insert_lora(config: Config) -> None:
    config.experiment.insertions = (*(kind for kind in config.experiment.insertions if kind != "lora"), "lora")


_NUMBERED = {"top_layers": "frozen_blocks", "adapters": "adapter_dim", "lora": "lora_rank"}  # by a field of `Baseline`
_EXAMPLES = ("scale_0.3", "top_layers_1", "adapters_512", "lora_8")  # what a message offers
_SHARED: dict[str, Change] = {
    "munet": lambda _: None,  # a name for the paper's own settings
    "no_autotune": _set("auto_tune", False),
    "no_adapters": _set("insert_adapters", False),
    "insert_lora": _insert_lora,
    **{kind: functools.partial(_set_baseline, kind=kind) for kind in BASELINES if kind not in _NUMBERED},
}
