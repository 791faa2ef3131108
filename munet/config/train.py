"""Every setting of `munet train`, with its default and what it may be, in the same parts as a run's (evolve.py)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Annotated, Literal

from munet.config.evolve import Baseline, BaselineKind, Defaults, Experiment, Schedule, SearchSpace
from munet.config.rules import Rules, image_size, length, num_blocks, tasks, variant
from munet.config.values import Automatic, CropShare, HueShare, Momentum, NonNegative, Positive, Range, Share, Width

Method = Literal["shared", "shared_adapters", "separate"]
METHODS: dict[Method, str] = {  # what people call them
    "shared": "Joint fine-tuning",
    "shared_adapters": "Joint adapters",
    "separate": "Separate fine-tuning",
}
_AS_BASELINES: dict[Method, BaselineKind] = {"shared": "full", "shared_adapters": "adapters", "separate": "full"}


@dataclass(slots=True)
class JointDefaults:
    """How models train and what they see: the hyper-parameters of evolution's root model, here of all tasks."""

    learning_rate: Annotated[float, Range(0, 100, excluded=0)] = 0.01  # of the schedule's peak; constant runs at half
    schedule: Schedule = "cosine"  # over the whole training; restarts: again after each measurement of validation
    warmup_ratio: Share = 0.1  # share of the rounds that rise to the peak
    momentum: Momentum = 0.9  # of SGD and RMSprop
    nesterov: bool = False  # look-ahead momentum, of SGD
    # smallest share of the image that a random crop keeps; 1: no crop
    crop_area_min: CropShare = 0.05
    crop_aspect_min: CropShare = 0.75  # a crop's sides differ by at most this ratio
    flip: bool = True  # left/right, with probability 0.5
    brightness_delta: Share = 0.0  # shifted by at most this, where black is 0 and white 1
    contrast_delta: Share = 0.0  # times 1 - delta to 1 + delta
    saturation_delta: Share = 0.0  # times 1 - delta to 1 + delta
    hue_delta: HueShare = 0.0  # turned by at most this share of the circle
    image_size: int = 32  # pixels on a side, a multiple of the patch
    adapter_dim: Width = 32  # inner width of residual adapters


@dataclass(slots=True)
class TrainExperiment:
    """Everything that changes the result; must match when training is resumed."""

    seed: NonNegative = 0  # of new parameters, order and augmentation; replicas have this and the next ones
    replicas: Positive = 1  # trainings of as many seeds, side by side in one program
    data_seed: Annotated[int, Range(-1)] = -1  # of the splits of sets that have none of their own; -1: `seed`
    tasks: tuple[str, ...] = ()  # task URIs, e.g. "tfds:mnist", "builtin:digits"
    # "shared": one trunk for all tasks, a norm and a head each; "shared_adapters": the root frozen, one set of residual
    # adapters for all; "separate": a copy of the root for each task
    method: Method = "shared"
    # "demo", a path (.npz, .safetensors, a model's folder), augreg:NAME, https://, gs:// or munet:WORKDIR?task=TASK
    root: str = "demo"
    variant: str = "demo/16"  # the root's architecture: demo/16, Ti/16, S/16, B/16, L/16, ...
    num_blocks: Positive = 3  # how many of the root's first blocks are used

    num_epochs: Annotated[float, Range(0)] = 0.0  # passes over the largest training set; give this or num_rounds
    num_rounds: NonNegative = 0  # length of training; a round is a batch of every task; give this or num_epochs
    batch_size: Positive = 512  # images of each task in a round; a smaller training set is one batch
    class_balanced: bool = False  # training batches have every class equally often, however rare it is
    validate_every: Automatic = 0  # rounds between two measurements of validation; 0: an epoch of the largest set
    # which version counts: the first with the best mean validation "quality" or "loss" of the tasks that share
    # parameters, or the "last"
    keep: Literal["quality", "loss", "last"] = "quality"
    optimizer: Literal["sgd", "adamw", "adam", "rmsprop"] = "sgd"  # "sgd" is evolution's
    weight_decay: Annotated[float, Range(0, 100)] = 0.0  # AdamW's
    clip_norm: Annotated[float, Range(0, excluded=0)] = 1.0  # gradients are clipped to this global norm
    # of activations and products: "auto" is bfloat16 on GPU and TPU, float32 on a CPU; parameters are always float32
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    antialias: bool = False  # filter images when they shrink
    max_head: Positive = 65_536  # outputs of the widest head that is accepted
    defaults: JointDefaults = field(default_factory=JointDefaults)


@dataclass(slots=True)
class TrainRuntime:
    """Everything that may differ between starts of the same training."""

    data_dir: str = ""  # prepared TFDS data; "": $TFDS_DATA_DIR, else ~/tensorflow_datasets
    cache_dir: str = ""  # decoded data and compiled programs; "": $MUNET_CACHE_DIR, else ~/.cache/munet; "off": none
    max_bad_images: Share = 0.01  # share of a folder's files that may be unreadable; they are named and left out
    # of a device's memory, for the training sets of all tasks; what does not fit, in order, is streamed; 0: all; MUiR
    # streams nothing
    resident_share: Share = 0.25
    decoding_threads: Automatic = 0  # that decode streamed sets; 0: one a core; of MUiR none
    num_devices: Automatic = 0  # accelerators that share replicas and batches; 0: all
    # memory of a device (10^9 bytes) to plan with; 0: nine tenths of what it has
    device_memory_gb: Annotated[float, Range(0, zero="what the device has")] = 0.0
    block_rounds: Positive = 10  # in one dispatch, at most; the host looks at losses and clock after each
    checkpoint_minutes: float = 2.0  # how often the training state is saved; 0: as often as can be; <0: never
    # stop after this time, at the end of a block; the same command goes on
    max_hours: Annotated[float, Range(0, zero="no limit")] = 0.0
    notify: str = ""  # command run at the end, e.g. a mail: docs/howto/long_runs.md


@dataclass(slots=True)
class TrainConfig:
    """What `munet train` does."""

    experiment: TrainExperiment = field(default_factory=TrainExperiment)
    runtime: TrainRuntime = field(default_factory=TrainRuntime)


def data_seed(experiment: TrainExperiment) -> int:
    """Of the splits of the data."""
    return experiment.seed if experiment.data_seed < 0 else experiment.data_seed


def as_run(experiment: TrainExperiment) -> Experiment:
    """The settings of the evolved run that has the same root, data and hyper-parameters: what shared parts read."""
    defaults = Defaults()
    for name in JointDefaults.__slots__:
        setattr(defaults, name, getattr(experiment.defaults, name))
    return Experiment(
        seed=data_seed(experiment),
        tasks=experiment.tasks,
        root=experiment.root,
        variant=experiment.variant,
        num_blocks=experiment.num_blocks,
        num_task_iterations=1,
        batch_size=experiment.batch_size,
        class_balanced=experiment.class_balanced,
        clip_norm=experiment.clip_norm,
        compute_dtype=experiment.compute_dtype,
        antialias=experiment.antialias,
        search_space=SearchSpace(image_size=(defaults.image_size,), adapter_dim=(defaults.adapter_dim,)),
        defaults=defaults,
        baseline=Baseline(kind=_AS_BASELINES[experiment.method], adapter_dim=defaults.adapter_dim),
    )


RULES: Rules = (
    (functools.partial(length, name="num_rounds"), "experiment.num_epochs", "experiment.num_rounds"),
    (tasks, "experiment.tasks"),
    (variant, "experiment.variant"),
    (num_blocks, "experiment.variant", "experiment.num_blocks"),
    (image_size, "experiment.variant", "experiment.defaults.image_size"),
)
