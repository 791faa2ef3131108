"""Variants of the paper's configs: the names after the colon of `--config=characters:scale_0.3,no_autotune`.

The paper's comparisons (spec sections 4 and 6) are the same on every benchmark, so they are here once; a config file
adds what is its own, such as a reduced budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from munet.config import Baseline, Config
from munet.errors import UserError, nearest

Variant = Callable[[Config], None]
_NUMBERED = ("scale_0.3", "top_layers_1", "adapters_512", "lora_8")  # what a message offers


def apply(config: Config, names: str, own: Mapping[str, Variant]) -> Config:
    """Changes `config` in place as variants ask, and returns it.

    Args:
      config: what the file starts from.
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


def _apply(config: Config, name: str, known: Mapping[str, Variant]) -> None:
    if name in known:
        known[name](config)
        return
    prefix, _, number = name.rpartition("_")
    if prefix not in ("scale", "top_layers", "adapters", "lora"):
        raise UserError(f"there is no variant {name!r}. {nearest(name, (*known, *_NUMBERED))}")
    experiment = config.experiment
    try:
        if prefix == "scale":
            experiment.scale_factor = float(number)
        elif prefix == "top_layers":
            experiment.baseline = Baseline("top_layers", frozen_blocks=int(number))
        elif prefix == "adapters":
            experiment.baseline = Baseline("adapters", adapter_dim=int(number))
        else:
            experiment.baseline = Baseline("lora", lora_rank=int(number))
    except ValueError as error:
        raise UserError(f"variant {name!r}: {number!r} is not the number expected after {prefix + '_'!r}.") from error


def _munet(config: Config) -> None:
    """Nothing changed: a name for the paper's own settings."""


def _no_autotune(config: Config) -> None:
    config.experiment.auto_tune = False


def _no_adapters(config: Config) -> None:
    config.experiment.insert_adapters = False


def _insert_lora(config: Config) -> None:
    others = (kind for kind in config.experiment.insertions if kind != "lora")
    config.experiment.insertions = (*others, "lora")


def _baseline(kind: str) -> Variant:
    def change(config: Config) -> None:
        config.experiment.baseline = Baseline(kind)

    return change


_SHARED: dict[str, Variant] = {
    "munet": _munet,
    "no_autotune": _no_autotune,
    "no_adapters": _no_adapters,
    "insert_lora": _insert_lora,
    "multi_head": _baseline("multi_head"),
    "full": _baseline("full"),
}
