"""Every setting of `munet pretrain` and its default, in the same two parts as those of a run (munet/config/evolve.py).

A config file exposes `get_config(variant) -> PretrainConfig`. Validated once, all problems reported together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from munet.config import values
from munet.config.checks import network_problems, task_problems
from munet.errors import ConfigError


@dataclass(slots=True)
class Recipe:
    """Everything that changes the root that comes out; must match when training is resumed."""

    seed: int = 0  # of initial values, order, augmentation, and of the splits of npz and built-in sets
    tasks: tuple[str, ...] = ()  # task URIs; classes of different tasks are different classes of one head
    variant: str = "Ti/16"  # the architecture: demo/16, Ti/16, S/16, B/16, L/16, ... or patch 32
    num_blocks: int = 3  # transformer blocks
    image_size: int = 32  # pixels on a side, a multiple of the patch; all images are resized to it

    num_epochs: float = 0.0  # length of training in passes over all training images; give this or num_steps
    num_steps: int = 0  # length of training in steps; give this or num_epochs
    batch_size: int = 512  # images a step, all devices together; at most all training images
    learning_rate: float = 2e-3  # AdamW's, at the peak
    warmup_ratio: float = 0.1  # share of the steps that rise linearly from 0 to the peak; then half a cosine to 0
    weight_decay: float = 0.05  # AdamW's, of matrices only: no biases, norms, class token or position embedding
    label_smoothing: float = 0.1  # share of every target that is spread over all classes
    mixup_alpha: float = 0.0  # images are mixed in pairs, by Beta(alpha, alpha); 0: not at all
    clip_norm: float = 1.0  # gradients are clipped to this global norm

    # a crop of the image's own size from the image with this many reflected pixels around it; 0: none
    pad_pixels: int = 0
    crop_area_min: float = 1.0  # smallest share of the image that a random crop, resized, keeps; 1: no crop
    crop_aspect_min: float = 0.75  # such a crop's sides differ by at most this ratio
    flip: bool = True  # left/right, with probability 0.5
    brightness_delta: float = 0.0  # shifted by at most this, of the range [0, 1]
    contrast_delta: float = 0.0  # times 1 - delta to 1 + delta
    saturation_delta: float = 0.0  # times 1 - delta to 1 + delta
    hue_delta: float = 0.0  # turned by at most this share of the circle
    antialias: bool = False  # filter images when they shrink


@dataclass(slots=True)
class PretrainRuntime:
    """Everything that may differ between starts of the same training."""

    data_dir: str = ""  # prepared TFDS data; "": $TFDS_DATA_DIR, else ~/tensorflow_datasets
    cache_dir: str = ""  # decoded data and compiled programs; "": $MUNET_CACHE_DIR, else ~/.cache/munet; "off": none
    max_bad_images: float = 0.01  # share of a folder's files that may be unreadable; they are named and left out
    num_devices: int = 0  # accelerators that share every batch; 0: all
    validate_every: int = 0  # steps between two lines of the validation curve; 0: an epoch
    checkpoint_minutes: float = 2.0  # how often the training state is saved; 0: as often as can be; <0: never
    keep_head: bool = True  # write the head into the root's file, too: munet passes over it, other programs may use it
    card_text: str = (
        ""  # a paragraph for the end of the root's card: sources, licences; a recipe's own goes with its tasks
    )


@dataclass(slots=True)
class PretrainConfig:
    """What `munet pretrain` does."""

    experiment: Recipe = field(default_factory=Recipe)
    runtime: PretrainRuntime = field(default_factory=PretrainRuntime)


def without_foreign_text(config: PretrainConfig, recipe: PretrainConfig) -> None:
    """Empties a card's text that `recipe` wrote about other tasks than those that are trained: it would be untrue.

    Args:
      config: as the command line made it of `recipe`; changed in place.
      recipe: as its file has it.
    """
    if config.experiment.tasks != recipe.experiment.tasks and config.runtime.card_text == recipe.runtime.card_text:
        config.runtime.card_text = ""


def validate(config: PretrainConfig) -> PretrainConfig:
    """Checks everything that can be checked without data, and returns the config with its types put right.

    Raises:
      ConfigError: all problems in one message.
    """
    mistyped = values.fix_types(config)
    sound = values.with_defaults(config, mistyped) if mistyped else config
    others = [*_range_problems(sound), *_length_problems(sound), *_other_problems(sound)]
    # Fields of wrong types stand at their defaults here, which are no problem of the user's.
    problems = [*mistyped.values(), *(text for text in others if not any(path in text for path in mistyped))]
    if problems:
        raise ConfigError(problems)
    return config


# Lowest and highest value, and what it must not be equal to.
_RANGES: dict[str, tuple[float, float, float | None]] = {
    "seed": (0, float("inf"), None),
    "num_blocks": (1, float("inf"), None),
    "batch_size": (1, float("inf"), None),
    "learning_rate": (0, 100, 0),
    "warmup_ratio": (0, 1, 1),
    "weight_decay": (0, 100, None),
    "label_smoothing": (0, 1, 1),
    "mixup_alpha": (0, 100, None),
    "clip_norm": (0, float("inf"), 0),
    "pad_pixels": (0, float("inf"), None),
    "crop_area_min": (1e-6, 1, None),
    "crop_aspect_min": (1e-6, 1, None),
    "brightness_delta": (0, 1, None),
    "contrast_delta": (0, 1, None),
    "saturation_delta": (0, 1, None),
    "hue_delta": (0, 0.5, None),
}


def _range_problems(config: PretrainConfig) -> list[str]:
    problems = []
    for name, (low, high, excluded) in _RANGES.items():
        value = getattr(config.experiment, name)
        if low <= value <= high and value != excluded:
            continue
        expected = f"{low:g} to {high:g}" if high < float("inf") else f"{low:g} or more"
        but = "" if excluded is None else f", not {excluded:g}"
        problems.append(f"experiment.{name} = {value}: expected {expected}{but}.")
    if not 0 <= config.runtime.max_bad_images <= 1:
        problems.append(f"runtime.max_bad_images = {config.runtime.max_bad_images}: expected a share in [0, 1].")
    for name in ("num_devices", "validate_every"):
        value = getattr(config.runtime, name)
        if value < 0:
            problems.append(f"runtime.{name} = {value}: expected 0 (automatic) or more.")
    return problems


def _length_problems(config: PretrainConfig) -> list[str]:
    epochs, steps = config.experiment.num_epochs, config.experiment.num_steps
    if epochs < 0 or steps < 0:
        return [f"experiment.num_epochs = {epochs}, num_steps = {steps}: neither may be below 0."]
    if bool(epochs) == bool(steps):
        return [
            f"experiment.num_epochs = {epochs:g} and experiment.num_steps = {steps}: give the length of training in "
            "one of the two, and 0 for the other."
        ]
    return []


def _other_problems(config: PretrainConfig) -> list[str]:
    experiment = config.experiment
    size = experiment.image_size
    return [
        *task_problems(experiment.tasks, "tfds:cifar100,builtin:digits"),
        *network_problems(experiment.variant, experiment.num_blocks, {f"experiment.image_size = {size}": size}),
    ]
