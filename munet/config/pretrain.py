"""Every setting of `munet pretrain`, with its default and what it may be, in the same parts as a run's (evolve.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from munet.config.rules import Rules, image_size, length, num_blocks, tasks, variant
from munet.config.values import Automatic, CropShare, HueShare, NonNegative, Positive, Range, Share


@dataclass(slots=True)
class Recipe:
    """Everything that changes the root that comes out; must match when training is resumed."""

    seed: NonNegative = 0  # of initial values, order, augmentation, and of the splits of npz and built-in sets
    tasks: tuple[str, ...] = ()  # task URIs; classes of different tasks are different classes of one head
    variant: str = "Ti/16"  # the architecture: demo/16, Ti/16, S/16, B/16, L/16, ... or patch 32
    num_blocks: Positive = 3  # transformer blocks
    image_size: int = 32  # pixels on a side, a multiple of the patch; all images are resized to it

    num_epochs: Annotated[float, Range(0)] = 0.0  # passes over all training images; give this or num_steps
    num_steps: NonNegative = 0  # length of training in steps; give this or num_epochs
    batch_size: Positive = 512  # images a step, all devices together; at most all training images
    learning_rate: Annotated[float, Range(0, 100, excluded=0)] = 2e-3  # AdamW's, at the peak
    # share of the steps that rise linearly from 0 to the peak; then half a cosine to 0
    warmup_ratio: Annotated[float, Range(0, 1, excluded=1)] = 0.1
    # AdamW's, of matrices only: no biases, norms, class token or position embedding
    weight_decay: Annotated[float, Range(0, 100)] = 0.05
    # share of every target that is spread over all classes
    label_smoothing: Annotated[float, Range(0, 1, excluded=1)] = 0.1
    # images are mixed in pairs, by Beta(alpha, alpha); 0: not at all
    mixup_alpha: Annotated[float, Range(0, 100)] = 0.0
    clip_norm: Annotated[float, Range(0, excluded=0)] = 1.0  # gradients are clipped to this global norm

    # a crop of the image's own size from the image with this many reflected pixels around it; 0: none
    pad_pixels: NonNegative = 0
    crop_area_min: CropShare = 1.0  # smallest share of the image that a random crop, resized, keeps; 1: no crop
    crop_aspect_min: CropShare = 0.75  # such a crop's sides differ by at most this ratio
    flip: bool = True  # left/right, with probability 0.5
    brightness_delta: Share = 0.0  # shifted by at most this, where black is 0 and white 1
    contrast_delta: Share = 0.0  # times 1 - delta to 1 + delta
    saturation_delta: Share = 0.0  # times 1 - delta to 1 + delta
    hue_delta: HueShare = 0.0  # turned by at most this share of the circle
    antialias: bool = False  # filter images when they shrink


@dataclass(slots=True)
class PretrainRuntime:
    """Everything that may differ between starts of the same training."""

    data_dir: str = ""  # prepared TFDS data; "": $TFDS_DATA_DIR, else ~/tensorflow_datasets
    # decoded data and compiled programs: a folder, also gs://bucket/folder; "": $MUNET_CACHE_DIR, else ~/.cache/munet;
    # "off": none
    cache_dir: str = ""
    max_bad_images: Share = 0.01  # share of a folder's files that may be unreadable; they are named and left out
    num_devices: Automatic = 0  # accelerators that share every batch; 0: all
    validate_every: Automatic = 0  # steps between two lines of the validation curve; 0: an epoch
    checkpoint_minutes: float = 2.0  # how often the training state is saved; 0: as often as can be; <0: never
    # stop after this time, at the end of a block of steps; the same command goes on
    max_hours: Annotated[float, Range(0, zero="no limit")] = 0.0
    notify: str = ""  # command run at the end, e.g. a mail: docs/howto/long_runs.md
    keep_head: bool = True  # write the head into the root's file, too: munet passes over it, other programs may use it
    # a paragraph for the end of the root's card: sources, licences; a recipe's own goes with its tasks
    card_text: str = ""


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


RULES: Rules = (
    (length, "experiment.num_epochs", "experiment.num_steps"),
    (tasks, "experiment.tasks"),
    (variant, "experiment.variant"),
    (num_blocks, "experiment.variant", "experiment.num_blocks"),
    (image_size, "experiment.variant", "experiment.image_size"),
)
