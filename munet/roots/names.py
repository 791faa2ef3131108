"""Checkpoints of the "How to train your ViT?" release that are known by name: `augreg:Ti_16-i21k-...`.

The table is short on purpose: the checkpoints that the release's README recommends, those that timm's models use, and
the two that the muNet paper began with. Any other name of the release's index works too, written in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from munet.errors import CheckpointError, did_you_mean
from munet.vit import architecture

BUCKET = "https://storage.googleapis.com/vit_models/augreg"
SCHEME = "augreg:"
_NAME = re.compile(
    r"(?P<size>[A-Za-z0-9_]+)_(?P<patch>\d+)-(i1k|i21k)-\d+ep-lr_[\d.]+-aug_(?:none|light\d|medium\d|strong\d)-wd_[\d.]+-do_[\d.]+-sd_[\d.]+"
    r"(?P<tuned>--[a-z0-9]+-steps_\w+-lr_[\d.]+-res_\d+)?"
)


@dataclass(frozen=True)
class Known:
    """A checkpoint of the release.

    Attributes:
      name: as in the release's index, without `.npz`.
      said_by: who names it.
    """

    name: str
    said_by: str

    @property
    def variant(self) -> str:
        """The name of the architecture, e.g. `Ti/16`."""
        return variant_name(self.name)

    @property
    def is_tuned(self) -> bool:
        """Whether it was fine-tuned on another data set after pre-training."""
        return "--" in self.name


_TI_LIGHT = "Ti_16-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0"
_TI_NONE = "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0"
_S32_NONE = "S_32-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0"
_S32_LIGHT = "S_32-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0"
_S16 = "S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0"
_B32_LIGHT = "B_32-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0"
_B32_MEDIUM = "B_32-i21k-300ep-lr_0.001-aug_medium1-wd_0.03-do_0.0-sd_0.0"
_B16 = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0"
_L16_STRONG = "L_16-i21k-300ep-lr_0.001-aug_strong1-wd_0.1-do_0.0-sd_0.0"
_L16_MEDIUM = "L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1"
_PAPER, _README, _TIMM = "the muNet paper", "the release's README", "timm"


def _tuned(name: str, rate: str, *sizes: int) -> list[str]:
    return [f"{name}--imagenet2012-steps_20k-lr_{rate}-res_{size}" for size in sizes]


KNOWN: Mapping[str, Known] = {
    name: Known(name, said_by)
    for said_by, names in (
        (_PAPER, [_TI_LIGHT]),
        (f"{_PAPER}, {_README}", [_B16]),
        (_README, [_TI_NONE, _S32_NONE, _S16, _B32_LIGHT, _L16_STRONG]),
        (_TIMM, [_S32_LIGHT, _B32_MEDIUM, _L16_MEDIUM]),
        (
            _README,
            [
                *_tuned(_TI_NONE, "0.03", 384),
                *_tuned(_S32_NONE, "0.01", 384),
                *_tuned(_S16, "0.03", 384),
                *_tuned(_B32_LIGHT, "0.01", 384),
                *_tuned(_B16, "0.03", 384),
                *_tuned(_L16_STRONG, "0.01", 384),
            ],
        ),
        (
            _TIMM,
            [
                *_tuned(_TI_NONE, "0.03", 224),
                *_tuned(_S32_LIGHT, "0.03", 224, 384),
                *_tuned(_S16, "0.03", 224),
                *_tuned(_B32_MEDIUM, "0.03", 224),
                *_tuned(_B32_LIGHT, "0.03", 384),
                *_tuned(_B16, "0.01", 224, 384),
                *_tuned(_L16_MEDIUM, "0.01", 224, 384),
                *_tuned("S_16-i1k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0", "0.01", 224, 384),
                *_tuned("B_32-i1k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.1-sd_0.1", "0.01", 224, 384),
                *_tuned("B_16-i1k-300ep-lr_0.001-aug_strong2-wd_0.1-do_0.1-sd_0.1", "0.01", 224, 384),
            ],
        ),
    )
    for name in names
}


def variant_name(name: str) -> str:
    """The architecture that a checkpoint's name begins with, e.g. `Ti/16`; `R_Ti/16` for a hybrid."""
    return "/".join(name.partition("-")[0].rsplit("_", 1))


def full_name(given: str) -> str:
    """The checkpoint that `given` (what follows `augreg:`) means: a name of the release, or how a known one begins.

    Raises:
      CheckpointError: it is none, or several, or of an architecture that munet has not; the message names the choices.
    """
    name = given.removesuffix(".npz")
    if name in KNOWN:
        return name
    if not name:
        raise CheckpointError(
            f"{SCHEME!r}: a name is missing, e.g. {SCHEME}{_TI_LIGHT}. `munet roots` lists those known."
        )
    fitting = [known for known in KNOWN if known.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        plain = [known for known in fitting if not KNOWN[known].is_tuned]
        if len(plain) == 1:  # the pre-trained one; its fine-tuned forms have longer names
            return plain[0]
        listed = "".join(f"\n  - {known}" for known in fitting)
        raise CheckpointError(f"{SCHEME}{given} is the beginning of {len(fitting)} names: give more of one of{listed}")
    match = _NAME.fullmatch(name)
    if match is None:
        beginnings = {known.partition("-")[0] for known in KNOWN}  # Ti_16, S_32, ...
        advice = (
            did_you_mean(name, KNOWN if "-" in name else beginnings)
            or "`munet roots` lists the names known; others of the index in full."
        )
        raise CheckpointError(f"{SCHEME}{given} is no name of the release. {advice}")
    variant = f"{match['size']}/{match['patch']}"
    if variant not in architecture.VARIANTS:
        raise CheckpointError(
            f"{SCHEME}{given} is a {variant}, which munet has not. Supported: {', '.join(architecture.VARIANTS)}."
        )
    return name


def url(name: str) -> str:
    """Where a checkpoint of the release is."""
    return f"{BUCKET}/{name}.npz"
