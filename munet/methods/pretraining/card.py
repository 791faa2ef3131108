"""A root's card: what it is, how it was made and what it can do, as Markdown beside its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from munet import intervals
from munet.config.pretrain import PretrainConfig, Recipe
from munet.joint.records import PretrainResult
from munet.methods.pretraining import recipe as recipes
from munet.text import duration, with_interval
from munet.types import TaskInfo
from munet.vit.architecture import get_variant


def file_name(recipe: Recipe) -> str:
    """What the root of a recipe is called: `ti16_3blocks_32px.npz`."""
    return f"{recipe.variant.lower().replace('/', '')}_{recipe.num_blocks}blocks_{recipe.image_size}px.npz"


def card(
    config: PretrainConfig,
    tasks: Sequence[TaskInfo],
    result: PretrainResult,
    command: str,
    layout: Mapping[str, object],
) -> str:
    """The card's text.

    Args:
      config: what was asked for.
      tasks: what was learnt.
      result: what came of it.
      command: that makes it.
      layout: the devices, as `DeviceLayout.describe` gives them.
    """
    recipe, variant = config.experiment, get_variant(config.experiment.variant)
    num_classes = sum(task.num_classes for task in tasks)
    head = (
        f"and a head of {num_classes:,} classes with {result.head_params:,}" if config.runtime.keep_head else "no head"
    )
    many = len(tasks) > 1
    among = " among all classes" if many else ""
    rows = [
        f"| {task.uri} | {task.num_train:,} / {task.num_validation:,} / {task.num_test:,} | {task.num_classes:,} "
        f"| {with_interval(result.test[task.name].value, intervals.of_quality(result.test[task.name]), 1)} |"
        for task in tasks
    ]
    lines = [
        f"# {result.file}",
        "",
        f"ViT {recipe.variant} (width {variant.width}, MLP {variant.mlp_dim}, {variant.num_heads} heads), "
        f"{recipe.num_blocks} transformer blocks, {recipe.image_size}x{recipe.image_size} input in [-1, 1], float32, "
        f"{result.num_params:,} parameters, {head}; public augreg layout.",
        "",
        f"SHA-256 `{result.sha256}`.",
        "",
        f"Trained from scratch on {result.num_images:,} images of {num_classes:,} classes"
        f"{' (the training splits of the tasks below, merged)' if many else ''} by",
        "",
        f"    {command}",
        "",
        f"{_recipe(recipe, result)} Seed {recipe.seed}. It took {duration(result.seconds)} on {hardware(layout)}.",
        "",
        f"| task | train / validation / test images | classes | test accuracy{among} (95% interval) |",
        "|---|---|---|---|",
        *rows,
        "",
        "The parameters are those after the last step; nothing was chosen by looking at test images.",
        *(["", config.runtime.card_text] if config.runtime.card_text else []),
    ]
    return "\n".join(lines) + "\n"


def _recipe(recipe: Recipe, result: PretrainResult) -> str:
    batch = recipes.batch_size(recipe, result.num_images)
    epochs = result.num_steps * batch / result.num_images
    training = [
        f"AdamW (weight decay {recipe.weight_decay:g} on matrices)",
        f"peak rate {recipe.learning_rate:g}",
        f"{recipe.warmup_ratio:.3g} of the steps warm-up",
        "cosine to 0",
        f"global-norm clip {recipe.clip_norm:g}",
        f"label smoothing {recipe.label_smoothing:g}",
        *([f"mixup {recipe.mixup_alpha:g}"] if recipe.mixup_alpha else []),
    ]
    return (
        f"{result.num_steps:,} steps of {batch:,} images ({epochs:.1f} epochs): {', '.join(training)}; "
        f"{', '.join(_augmentation(recipe))}."
    )


def _augmentation(recipe: Recipe) -> list[str]:
    parts = []
    if recipe.pad_pixels:
        parts.append(f"random crops after reflecting {recipe.pad_pixels} pixels at each edge")
    if recipe.crop_area_min < 1:
        parts.append(
            f"random crops (area from {recipe.crop_area_min:g}, ratio from {recipe.crop_aspect_min:g}) resized"
        )
    for name in ("brightness", "contrast", "saturation", "hue"):
        if delta := getattr(recipe, f"{name}_delta"):
            parts.append(f"{name} +-{delta:g}")
    return [*parts, "left/right flips" if recipe.flip else "no flips"]


def hardware(layout: Mapping[str, object]) -> str:
    """The devices in words: `2 cores of an Intel(R) Xeon(R) CPU`, `8 x TPU v4`."""
    if layout.get("platform") != "cpu":
        return f"{layout.get('num_devices')} x {layout.get('device_kind')}"
    cores = layout.get("num_cpus")
    return f"{cores} CPU core{'' if cores == 1 else 's'}{_model()}"


def _model() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f" ({names[0]})" if names and names[0] else ""
