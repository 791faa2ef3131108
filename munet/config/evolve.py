"""Every setting of a run, with its default and what it may be, in two parts.

`experiment` changes the result and must match when a run is resumed; `runtime` does not and is free. A comment says
what a setting means, its type what it may be: checks, messages, `munet config` and the docs are made from them. The
classes are assigned to while config files and flags are read, and read-only after they were checked; they have slots,
so that assigning to a misspelt field fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from munet.config.values import (
    Automatic,
    CropShare,
    Factor,
    HueShare,
    Momentum,
    NonNegative,
    Positive,
    Range,
    Rate,
    Share,
    Width,
)
from munet.quality import Metric

Schedule = Literal["constant", "cosine", "restarts"]
Insertion = Literal["adapter", "lora"]
CropLaw = Literal["uniform_area", "tensorflow", "clipped_area"]
ColourOrder = Literal["resized", "source"]
MomentumProduct = Literal["float32", "bfloat16"]
ParentChoice = Literal["ranked", "tournament", "random"]
NewHeads = Literal["zeros", "class_means"]
VersionChoice = Literal["highest", "latest_within_error"]
BaselineKind = Literal[
    "multi_head", "top_layers", "full", "adapters", "lora", "tuned", "tuned_multi_head", "tuned_adapters", "tuned_lora"
]
BASELINES: Mapping[str, str] = {  # what people call them
    "multi_head": "multi-head",
    "top_layers": "fine-tune top layers",
    "full": "full fine-tuning",
    "adapters": "residual adapters",
    "lora": "LoRA",
    "tuned": "tuned fine-tuning",
    "tuned_multi_head": "tuned multi-head",
    "tuned_adapters": "tuned adapters",
    "tuned_lora": "tuned LoRA",
}


@dataclass(slots=True)
class SearchSpace:
    """Ordered values of every evolved hyper-parameter; a mutation moves one step up or down the list as it is written.

    Numbers rise, or fall. A tuple of one value fixes the hyper-parameter.
    """

    # of the schedule's peak; constant runs at half of it
    learning_rate: tuple[Rate, ...] = (
        1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
    )  # fmt: skip
    # over the whole training, or restarted every cycle
    schedule: tuple[Schedule, ...] = ("constant", "cosine", "restarts")
    warmup_ratio: tuple[Share, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)  # share of the steps that rise to the peak
    momentum: tuple[Momentum, ...] = (0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)  # of SGD
    nesterov: tuple[bool, ...] = (False, True)  # look-ahead momentum
    # smallest share of the image that a random crop keeps; 1: no crop
    crop_area_min: tuple[CropShare, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    crop_aspect_min: tuple[CropShare, ...] = (0.25, 0.5, 0.75, 1.0)  # a crop's sides differ by at most this ratio
    flip: tuple[bool, ...] = (False, True)  # left/right, with probability 0.5
    # shifted by at most this, where black is 0 and white 1
    brightness_delta: tuple[Share, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
    contrast_delta: tuple[Share, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # times 1 - delta to 1 + delta
    saturation_delta: tuple[Share, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # times 1 - delta to 1 + delta
    hue_delta: tuple[HueShare, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # turned by at most this share of the circle
    image_size: tuple[int, ...] = (16, 32, 48, 64)  # pixels on a side
    adapter_dim: tuple[Width, ...] = (8, 16, 32, 64, 128)  # inner width of a model's residual adapters
    # rank of a model's low-rank updates; evolves where they are inserted
    lora_rank: tuple[Width, ...] = (2, 4, 8, 16, 32)


@dataclass(slots=True)
class Defaults:
    """The root model's hyper-parameters, where every lineage starts."""

    learning_rate: float = 0.01
    schedule: Schedule = "cosine"
    warmup_ratio: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    crop_area_min: float = 0.05
    crop_aspect_min: float = 0.75
    flip: bool = True
    brightness_delta: float = 0.0
    contrast_delta: float = 0.0
    saturation_delta: float = 0.0
    hue_delta: float = 0.0
    image_size: int = 32
    adapter_dim: int = 32
    lora_rank: int = 8


@dataclass(slots=True)
class Fidelity:
    """Where the paper and its published code differ: one field each, the spec's resolution as default."""

    # "inherited": what a parent may train is copied (code); "frozen": shared (paper)
    trainability: Literal["inherited", "frozen"] = "inherited"
    # "forced": mutated children always clone it (code); "chance": a layer like others
    encoder_norm: Literal["forced", "chance"] = "forced"
    seed_trains_norm: bool = False  # seed children also train the encoder norm (code: the head only)
    # "newest" id first (code); "random" without replacement (paper)
    seed_order: Literal["newest", "random"] = "newest"
    # "cumulative" over task iterations (code); "per_activation"
    offspring_count: Literal["cumulative", "per_activation"] = "cumulative"
    # drawn once a "generation" (code); "child": drawn for every child (paper)
    data_settings: Literal["generation", "child"] = "generation"
    allow_block_growth: bool = True  # a removed top block can grow back (code); the paper only removes
    adapter_before_first_block: bool = True  # also before block 0 (code); False: only between blocks (paper)
    # The paper's configs set the fields from here on: the first to what the paper says, others to the code's.
    # where blocks cannot grow, the top one goes with half of mu (half of the steps lead up) or with "mu" (paper)
    block_removal: Literal["half_mu", "mu"] = "half_mu"
    # boxes of random crops: of uniform area; those of "tensorflow" (code), of uniform height; or, as up to version
    # 0.4, "clipped_area": of uniform area and clipped to the image, some of them below the minimum
    crop: CropLaw = "uniform_area"
    colours: ColourOrder = "resized"  # changed after the resize, in [0, 1]; "source": before it, in [-1, 1] (code)
    momentum_product: MomentumProduct = "float32"  # of momentum and its bfloat16 buffer; "bfloat16" (code)


@dataclass(slots=True)
class Baseline:
    """A fixed way of fine-tuning the root instead of evolution, on the same engine and budget."""

    # "": evolve; `tuned` and `tuned_...`: the best by validation of a grid of settings, at the same total of images
    kind: Literal["", BaselineKind] = ""
    frozen_blocks: NonNegative = 0  # for `top_layers`: blocks kept frozen at the bottom; at most `num_blocks`
    adapter_dim: Positive = 512  # for `adapters`
    lora_rank: Positive = 8  # for `lora`
    replicas: NonNegative = 0  # equal ones, of which the best by validation counts; 0: children_per_generation
    learning_rates: tuple[Rate, ...] = (0.05, 0.1)  # of the grid of `tuned`
    # of the grid of `tuned`: "defaults" of the run, "light" (crops from half the image, no flips) or "none"
    augmentations: tuple[Literal["defaults", "light", "none"], ...] = ("light", "none")


@dataclass(slots=True)
class Experiment:
    """Everything that changes the result."""

    seed: NonNegative = 0  # every draw of the run is derived from it
    tasks: tuple[str, ...] = ()  # task URIs in order, e.g. "tfds:mnist", "birds=folder:/data/a/images"
    # "demo", a path (.npz, .safetensors, a model's folder), augreg:NAME, https://, gs:// or munet:WORKDIR?task=TASK;
    # "random": of the variant and the seed, untrained, as a control
    root: str = "demo"
    variant: str = "demo/16"  # the root's architecture: demo/16, Ti/16, S/16, B/16, L/16, ...
    num_blocks: Positive = 3  # how many of the root's first blocks are used

    num_task_iterations: Positive = 2  # how often every task is active
    num_generations: Positive = 8  # generations in a phase
    children_per_generation: Positive = 8  # proposed together and trained side by side
    cycles_per_child: Positive = 5  # train/validation cycles
    # of a phase, in order, instead of equal generations: KIND:CHILDREN or KIND:CHILDRENxCYCLES, such as
    # explore:8,narrow:4,train:1, which is also called race
    stages: tuple[str, ...] = ()
    # training images a task for everything together: stages that name no cycles share them; 0: all name theirs
    images_per_task: NonNegative = 0
    batch_size: Positive = 512  # at most; a smaller training set is one batch
    max_batches_per_cycle: Positive = 100  # a cycle is one epoch up to this
    min_batches_per_cycle: NonNegative = 10  # at least, on small sets; 0 in the paper's configs
    max_validation_batches: Positive = 10  # of batch_size: validation uses the first images up to this
    # "accuracy", or "balanced_accuracy": the mean over the classes of the share of their images that is right
    quality_metric: Metric = "accuracy"
    class_balanced: bool = False  # training batches have every class equally often, however rare it is
    scale_factor: Factor = 1.0  # s of Eq. 2; 1: no size penalty
    flops_factor: Factor = 1.0  # s_flops, the same for forward FLOPs relative to the root's; 1: they do not count
    latency_factor: Factor = 1.0  # s_latency, the same for measured seconds an image; 1: they are not measured
    mutation_probability: Share = 0.1  # mu: with which each possible mutation fires
    # with which a hyper-parameter that mutates jumps to any other value of its list; else it moves one step (the paper)
    jump_probability: Share = 0.0
    clone_probability: Share = 1.0  # with which an `explore` stage's child clones each layer that it could share
    # with which it trains what `insertions` names at each block: inserted where the parent has none, else cloned; at 0
    # nothing is inserted, and what the parent has is cloned with `clone_probability`, as other layers are
    insertion_probability: Share = 0.0
    new_heads: NewHeads = "zeros"  # of a new task: "zeros" (the paper), or made from the "class_means" of features
    # which version of a child counts, and which of a stage's models go on: the "highest" quality, or the
    # "latest_within_error": of those within one standard error of it the latest, and the larger learning rate
    version_choice: VersionChoice = "highest"
    # passes over a task's images, of all a phase's together, above which an `explore` stage draws crops alone and no
    # whole images, which a long training memorises and a short one prefers; 0: never
    crops_above_passes: NonNegative = 0
    # points of validation quality that a `compress` stage may cost a model; -1: one standard error, of a flawless one 0
    compression_tolerance: Annotated[float, Range(-1, 100)] = 0.5
    # of Eq. 2; "growing": none in the first stage of a phase, all in the last that trains
    size_penalty: Literal["whole_phase", "growing"] = "whole_phase"
    # at which the root's parameters are counted that Eq. 2 divides by; 0: at the default image size
    normaliser_image_size: NonNegative = 0
    # among which tasks Eq. 3 divides a layer of the root: those that use it, or "all_tasks" of the run from the start
    root_users: Literal["users", "all_tasks"] = "users"
    max_seed_parents: NonNegative = 0  # seed parents a phase starts with at most; 0: all (the paper)
    # which, where there are more than max_seed_parents: the "newest" models, or those whose frozen features "fit" best
    seed_choice: Literal["newest", "fit"] = "newest"
    # whose children follow those of the seed parents: Eq. 1 over the "ranked" active models (the paper), the better of
    # two that a "tournament" draws among them, or any model at "random"
    parent_choice: ParentChoice = "ranked"
    private_tasks: tuple[str, ...] = ()  # names of tasks whose models are never parents of other tasks' models
    auto_tune: bool = True  # evolve hyper-parameters (the number of blocks always evolves)
    insertions: tuple[Insertion, ...] = ("adapter",)  # what may be inserted at a block: "adapter" (the paper), "lora"
    insert_adapters: bool = True  # False: no residual adapters, whatever `insertions` names
    clip_norm: Annotated[float, Range(0, excluded=0)] = 1.0  # gradients are clipped to this global norm
    # of activations and products: "auto" is bfloat16 on GPU and TPU, float32 on a CPU; parameters are always float32.
    # float32 is exact everywhere, and costs a TPU six passes instead of one, a GPU its tensor cores
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    antialias: bool = False  # filter images when they shrink
    search_space: SearchSpace = field(default_factory=SearchSpace)
    defaults: Defaults = field(default_factory=Defaults)
    fidelity: Fidelity = field(default_factory=Fidelity)
    baseline: Baseline = field(default_factory=Baseline)


@dataclass(slots=True)
class Runtime:
    """Everything that may differ between starts of the same run."""

    data_dir: str = ""  # prepared TFDS data; "": $TFDS_DATA_DIR, else ~/tensorflow_datasets
    # decoded data and compiled programs: a folder, also gs://bucket/folder; "": $MUNET_CACHE_DIR, else ~/.cache/munet;
    # "off": none
    cache_dir: str = ""
    max_bad_images: Share = 0.01  # share of a folder's files that may be unreadable; they are named and left out
    resident_share: Share = 0.25  # of a device's memory; larger training sets are streamed from their files; 0: all
    decoding_threads: Automatic = 0  # that decode a streamed set; 0: one a core
    num_devices: Automatic = 0  # accelerators to use; 0: all
    children_per_dispatch: Automatic = 0  # stacked on one device at most; 0: all that fit on GPU/TPU, 1 on CPU
    # slots for children, and over how many devices each one's batches and layers are spread, e.g. 2,2,2 on eight
    # devices (child, data, model); (): as many children side by side as fit
    mesh: tuple[int, ...] = ()
    # images of a batch that pass through the model at a time, at most, their gradients summed up; 0: on a CPU what its
    # caches hold best, elsewhere the whole batch, or as much of it as fits
    microbatch: Automatic = 0
    # memory of a device (10^9 bytes) to plan with; 0: nine tenths of what it has
    device_memory_gb: Annotated[float, Range(0, zero="what the device has")] = 0.0
    block_megabytes: Positive = 64  # size of one segment of augmented batches
    checkpoint_minutes: float = 2.0  # how often a generation in training is saved; 0: after every cycle; <0: never
    # stop after this time, at the end of a cycle; the same command goes on
    max_hours: Annotated[float, Range(0, zero="no limit")] = 0.0
    notify: str = ""  # command run at phase ends and at the end, e.g. a mail: docs/howto/long_runs.md
    compare: tuple[BaselineKind, ...] = ()  # after evolving, run these on the same budget


@dataclass(slots=True)
class Config:
    """All settings of a run: those that change its result, and those that are free."""

    experiment: Experiment = field(default_factory=Experiment)
    runtime: Runtime = field(default_factory=Runtime)
