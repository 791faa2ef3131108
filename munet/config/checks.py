"""What is checked of a run's settings before anything is done with them: all problems, in one message."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping, Sequence

from munet.config import Config, Experiment, SearchSpace
from munet.config import values as config_types
from munet.errors import ConfigError, UserError, nearest
from munet.vit import architecture


def validate(config: Config) -> Config:
    """Checks everything that can be checked without data, and returns the config.

    Whole numbers given for floats become floats and lists become tuples, so that the journal does not tell them apart.

    Raises:
      ConfigError: all problems in one message.
    """
    mistyped = config_types.fix_types(config)
    sound = config
    if mistyped:  # look for other problems as if those fields had their defaults
        sound = config_types.with_defaults(config, mistyped)
    others = [*_count_problems(sound), *_choice_problems(sound), *_space_problems(sound.experiment)]
    problems = [*mistyped.values(), *(text for text in others if not any(path in text for path in mistyped))]
    if problems:
        raise ConfigError(problems)
    return config


def _count_problems(config: Config) -> list[str]:
    experiment = config.experiment
    problems = []
    for name in (
        "num_blocks", "num_task_iterations", "num_generations", "children_per_generation", "cycles_per_child",
        "batch_size", "max_batches_per_cycle", "max_validation_batches",
    ):  # fmt: skip
        if getattr(experiment, name) < 1:
            problems.append(f"experiment.{name} = {getattr(experiment, name)}: expected at least 1.")
    for name in ("min_batches_per_cycle", "max_seed_parents"):
        if getattr(experiment, name) < 0:
            problems.append(f"experiment.{name} = {getattr(experiment, name)}: expected 0 or more.")
    if experiment.min_batches_per_cycle > experiment.max_batches_per_cycle:
        problems.append(
            f"experiment.min_batches_per_cycle = {experiment.min_batches_per_cycle} is above "
            f"max_batches_per_cycle = {experiment.max_batches_per_cycle}: lower one or raise the other."
        )
    for name in ("scale_factor", "flops_factor", "latency_factor"):
        if not 0 < getattr(experiment, name) <= 1:
            problems.append(f"experiment.{name} = {getattr(experiment, name)}: expected in (0, 1], 1: no penalty.")
    if not 0 <= experiment.mutation_probability <= 1:
        problems.append(f"experiment.mutation_probability = {experiment.mutation_probability}: expected in [0, 1].")
    if experiment.clip_norm <= 0:
        problems.append(f"experiment.clip_norm = {experiment.clip_norm}: expected above 0.")
    if experiment.seed < 0:
        problems.append(f"experiment.seed = {experiment.seed}: expected 0 or more.")
    if not 0 <= config.runtime.max_hours < float("inf"):
        problems.append(f"runtime.max_hours = {config.runtime.max_hours}: expected 0 (no limit) or more.")
    if config.runtime.block_megabytes < 1:
        problems.append(f"runtime.block_megabytes = {config.runtime.block_megabytes}: expected at least 1.")
    if not 0 <= config.runtime.max_bad_images <= 1:
        problems.append(f"runtime.max_bad_images = {config.runtime.max_bad_images}: expected a share in [0, 1].")
    if not 0 <= config.runtime.resident_share <= 1:
        problems.append(f"runtime.resident_share = {config.runtime.resident_share}: expected a share in [0, 1].")
    for name in ("adapter_dim", "lora_rank"):
        if getattr(experiment.baseline, name) < 1:
            problems.append(f"experiment.baseline.{name} = {getattr(experiment.baseline, name)}: expected at least 1.")
    for name in ("num_devices", "children_per_dispatch", "decoding_threads", "microbatch"):
        if getattr(config.runtime, name) < 0:
            problems.append(f"runtime.{name} = {getattr(config.runtime, name)}: expected 0 (automatic) or more.")
    if config.runtime.device_memory_gb < 0:
        problems.append(
            f"runtime.device_memory_gb = {config.runtime.device_memory_gb}: expected 0 (what the device has) or more."
        )
    problems += _mesh_problems(config)
    return problems + task_problems(experiment.tasks, "builtin:digits,tfds:mnist")


def _mesh_problems(config: Config) -> list[str]:
    """Of the mesh by itself; whether there are as many devices is asked when they are looked for."""
    mesh, batch_size = config.runtime.mesh, config.experiment.batch_size
    if not mesh:
        return []
    if len(mesh) != 3 or min(mesh) < 1:
        return [f"runtime.mesh = {mesh}: expected three numbers of at least 1 (child, data, model), or none."]
    problems = []
    data, model = mesh[1:]
    if _EVALUATED % data:
        problems.append(
            f"runtime.mesh = {mesh}: {data} devices cannot share batches of {_EVALUATED} images in evaluation. Use "
            f"{_near(data, _EVALUATED)} in the middle."
        )
    elif batch_size % data:
        below = batch_size // data * data
        advice = f"{below} or {below + data}" if below else str(data)
        problems.append(
            f"experiment.batch_size = {batch_size}: {data} devices (runtime.mesh = {mesh}) cannot share it evenly. Use "
            f"{advice}."
        )
    variant = architecture.VARIANTS.get(config.experiment.variant)
    if variant and variant.mlp_dim % model:
        problems.append(
            f"runtime.mesh = {mesh}: {model} devices cannot share the layers of {variant.name} evenly. Use "
            f"{_near(model, variant.mlp_dim)} at the end."
        )
    return problems


def _near(given: int, number: int) -> str:
    """The divisors of a number next to a given one: `2 or 4`."""
    divisors = [length for length in range(1, number + 1) if number % length == 0]
    near = [
        max(length for length in divisors if length < given),
        *[length for length in divisors if length > given][:1],
    ]
    return " or ".join(map(str, near))


_EVALUATED = 256  # images in a batch of evaluation: `stream.EVALUATION_BATCH`, where JAX may be imported
_CHOICES = {
    "compute_dtype": ("auto", "float32", "bfloat16"),
    "quality_metric": ("accuracy", "balanced_accuracy"),
    "seed_choice": ("newest", "fit"),
    "fidelity.trainability": ("inherited", "frozen"),
    "fidelity.encoder_norm": ("forced", "chance"),
    "fidelity.seed_order": ("newest", "random"),
    "fidelity.offspring_count": ("cumulative", "per_activation"),
    "fidelity.data_settings": ("generation", "child"),
    "baseline.kind": ("", "multi_head", "top_layers", "full", "adapters", "lora"),
}
_INSERTIONS = ("adapter", "lora")


def _choice_problems(config: Config) -> list[str]:
    experiment = config.experiment
    problems = []
    for path, choices in _CHOICES.items():
        value = operator.attrgetter(path)(experiment)
        if value not in choices:
            problems.append(f"experiment.{path} = {value!r}. {nearest(value, choices)}")
    for value in experiment.insertions:
        if value not in _INSERTIONS:
            problems.append(f"experiment.insertions names {value!r}. {nearest(value, _INSERTIONS)}")
    for value in sorted({value for value in experiment.insertions if experiment.insertions.count(value) > 1}):
        problems.append(f"experiment.insertions names {value!r} more than once: remove the repetition.")
    for value in config.runtime.compare:
        if value not in _CHOICES["baseline.kind"][1:]:
            problems.append(f"runtime.compare names {value!r}. {nearest(value, _CHOICES['baseline.kind'][1:])}")
    if experiment.baseline.kind and config.runtime.compare:
        problems.append(
            f"runtime.compare = {config.runtime.compare!r} beside experiment.baseline.kind = "
            f"{experiment.baseline.kind!r}: only an evolved system is compared with baselines. Empty the one "
            '(--config.compare=) or the other (--config.kind="").'
        )
    sizes = {*experiment.search_space.image_size, experiment.defaults.image_size}
    where = "(experiment.search_space.image_size or defaults.image_size)"
    problems += network_problems(
        experiment.variant, experiment.num_blocks, {f"image size {size} {where}": size for size in sizes}
    )
    if not 0 <= experiment.baseline.frozen_blocks <= experiment.num_blocks:
        problems.append(
            f"experiment.baseline.frozen_blocks = {experiment.baseline.frozen_blocks}: expected 0 to "
            f"experiment.num_blocks = {experiment.num_blocks}."
        )
    return problems


def network_problems(variant: str, num_blocks: int, sizes: Mapping[str, int]) -> list[str]:
    """What is wrong with a network, whatever it is for.

    Args:
      variant: its name in the ViT family.
      num_blocks: of it.
      sizes: image sizes, by how a message begins that is about one.
    """
    try:
        found = architecture.get_variant(variant)
    except UserError as error:
        return [f"experiment.variant: {error}"]
    problems = []
    if num_blocks > found.max_blocks:
        problems.append(f"experiment.num_blocks = {num_blocks}: {found.name} has {found.max_blocks} blocks.")
    patch = found.patch_size
    for what, size in sizes.items():
        if size < patch or size % patch:
            below = max(size // patch, 1) * patch
            problems.append(
                f"{what} is no multiple of {found.name}'s patch size {patch}: use {below} or {below + patch}."
            )
    return problems


def task_problems(tasks: Sequence[str], example: str) -> list[str]:
    """What is wrong with a list of task URIs by itself."""
    problems = [] if tasks else [f"experiment.tasks is empty: give task URIs, e.g. --config.tasks={example}"]
    return problems + [
        f"experiment.tasks names {task!r} more than once: remove the repetition."
        for task in sorted({task for task in tasks if tasks.count(task) > 1})
    ]


_RANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (0, 100), "warmup_ratio": (0, 1), "momentum": (0, 1), "crop_area_min": (1e-6, 1),
    "crop_aspect_min": (1e-6, 1), "brightness_delta": (0, 1), "contrast_delta": (0, 1), "saturation_delta": (0, 1),
    "hue_delta": (0, 0.5), "adapter_dim": (1, 1 << 16), "lora_rank": (1, 1 << 16),
}  # fmt: skip


def _space_problems(experiment: Experiment) -> list[str]:
    problems = []
    for item in dataclasses.fields(SearchSpace):
        values = getattr(experiment.search_space, item.name)
        default = getattr(experiment.defaults, item.name)
        if not values:
            problems.append(f"experiment.search_space.{item.name} is empty: give at least the default {default!r}.")
            continue
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            problems.append(f"experiment.search_space.{item.name} = {values!r} has {repeated[0]!r} more than once.")
        if default not in values:
            problems.append(
                f"experiment.defaults.{item.name} = {default!r} is not among "
                f"experiment.search_space.{item.name} = {values!r}: add it or choose one of them."
            )
        low, high = _RANGES.get(item.name, (None, None))
        if low is not None and high is not None and not all(low <= value <= high for value in values):
            problems.append(f"experiment.search_space.{item.name} = {values!r}: expected within {low:g} to {high:g}.")
        if item.name == "schedule":
            for value in sorted(set(values) - {"constant", "cosine", "restarts"}):
                choices = ("constant", "cosine", "restarts")
                problems.append(f"experiment.search_space.schedule: {value!r}. {nearest(value, choices)}")
    return problems
