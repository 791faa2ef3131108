"""Trains a root from scratch: how the demo's root in `munet/assets` was made.

    python -m munet.training.pretrain --out=munet/assets

Supervised classification over the merged classes of several tasks with AdamW, warm-up and cosine, label smoothing and
the package's own augmentation. Only the trunk is kept: a root has no head. This is no part of the paper, whose roots
are public checkpoints.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from munet import rng
from munet.architecture import HEAD, Variant, component_leaves, get_variant, path_names
from munet.data.augment import AugmentSettings, augment, prepare
from munet.data.loader import batch_indices
from munet.data.opening import OpenSettings
from munet.data.tasks import Task, load_tasks
from munet.errors import DataError
from munet.models import vit
from munet.models.checkpoints import Components, save_augreg
from munet.models.init import init_component

# Scripts with many kinds of strokes, and none that the demo's tasks are made of.
DEMO_TASKS = tuple(
    f"builtin:glyphs/{script}"
    for script in (
        "canadian_syllabics", "lao", "latin", "latin_capitals", "lisu", "math_operators", "nko", "old_italic",
        "symbols", "tifinagh",
    )
)  # fmt: skip
DEMO_NAME = "demo16_3blocks_32px"


@dataclass(frozen=True)
class Settings:
    """How a root is trained; the defaults are the demo root's.

    Attributes:
      tasks: URIs; their images must have one shape. Classes of different tasks are different classes.
      crop_area_min, crop_aspect_min: random crops, as in a model's data settings.
      colour_delta: of brightness and contrast.
      decay: AdamW's, of matrices only.
      warmup: part of all steps.
    """

    tasks: tuple[str, ...] = DEMO_TASKS
    variant: str = "demo/16"
    num_blocks: int = 3
    image_size: int = 32
    num_steps: int = 6000
    batch_size: int = 256
    learning_rate: float = 3e-3
    warmup: float = 0.05
    decay: float = 0.05
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    crop_area_min: float = 0.6
    crop_aspect_min: float = 0.75
    colour_delta: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """A trained trunk and its accuracy on each test split, among the classes of all tasks, in [0, 1]."""

    components: Components
    accuracies: dict[str, float]
    num_classes: int
    num_images: int
    seconds: float = field(compare=False)


class _Examples(NamedTuple):
    images: UInt8[Array, "n h w c"]
    labels: Int[Array, " n"]


def pretrain(settings: Settings, say: Callable[[str], None] = print, cache_dir: str = "", data_dir: str = "") -> Result:
    """Trains a root.

    Args:
      settings: the recipe.
      say: told about the progress.
      cache_dir, data_dir: as in `munet.data.opening.OpenSettings`.

    Raises:
      DataError: a task cannot be opened, or images differ in shape.
    """
    start = time.monotonic()
    variant = get_variant(settings.variant)
    tasks = load_tasks(settings.tasks, OpenSettings(data_dir, cache_dir, settings.seed))
    offsets = np.cumsum([0, *(task.info.num_classes for task in tasks)])
    examples = _merged(tasks, offsets)
    num_images, num_classes = len(examples.labels), int(offsets[-1])
    say(f"{num_images:,} training images of {num_classes} classes from {len(tasks)} tasks")

    params = _initial(variant, settings, num_classes)
    optimiser = _optimiser(settings)
    state = optimiser.init(params)
    step = _train_step(variant, settings, optimiser)
    window = 200
    for first in range(0, settings.num_steps, window):
        count = min(window, settings.num_steps - first)
        path = ("pretrain", settings.seed)
        batches = batch_indices(path, num_images, settings.batch_size, first, count)
        losses = []
        for index, batch in enumerate(batches):
            words = jnp.asarray(rng.key_data((*path, "augment", first + index)))
            key = jax.random.wrap_key_data(words, impl="threefry2x32")
            params, state, loss = step(params, state, examples, batch, key)
            losses.append(loss)
        mean = float(np.mean(jax.device_get(losses)))
        say(f"step {first + count:,} of {settings.num_steps:,}: loss {mean:.3f}, {time.monotonic() - start:.0f} s")
        if not np.isfinite(mean):
            raise FloatingPointError(f"the loss is {mean} between steps {first} and {first + count}: lower the rate")

    accuracies = {
        task.info.name: _accuracy(variant, settings, params, task, int(offset))
        for task, offset in zip(tasks, offsets[:-1], strict=True)
    }
    components = {
        name: {leaf: np.asarray(array) for leaf, array in vit.flatten(tree).items()}
        for name, tree in params.items()
        if name != HEAD
    }
    return Result(components, accuracies, num_classes, num_images, time.monotonic() - start)


def _merged(tasks: list[Task], offsets: Int[np.ndarray, " tasks"]) -> _Examples:
    """The training splits of all tasks, one after the other, with labels in one numbering."""
    shapes = {task.info.name: task.image_shape for task in tasks}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"Pre-training needs images of one shape, but these are: {listed}.")
    splits = [task.split("train") for task in tasks]
    labels = [split.labels + offset for split, offset in zip(splits, offsets[:-1], strict=True)]
    return _Examples(
        jnp.asarray(np.concatenate([split.images for split in splits])), jnp.asarray(np.concatenate(labels))
    )


def _initial(variant: Variant, settings: Settings, num_classes: int) -> dict[str, Any]:
    params = {}
    for name in path_names(settings.num_blocks):
        leaves = component_leaves(variant, name, image_size=settings.image_size, adapter_dim=0, num_classes=num_classes)
        flat = init_component(rng.key_data(("pretrain", settings.seed, name)), variant, name, leaves)
        params[name] = vit.nest({path: jnp.asarray(array) for path, array in flat.items()})
    return params


def _optimiser(settings: Settings) -> Any:
    warmup = int(settings.warmup * settings.num_steps)
    rate = optax.warmup_cosine_decay_schedule(0.0, settings.learning_rate, max(warmup, 1), settings.num_steps)

    def is_matrix(params: Any) -> Any:
        return {
            name: jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", tree)
            for name, tree in params.items()
        }

    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(rate, weight_decay=settings.decay, mask=is_matrix),
    )


def _train_step(variant: Variant, settings: Settings, optimiser: Any) -> Callable[..., Any]:
    delta = np.float32(settings.colour_delta)
    colours = AugmentSettings(
        crop_area_min=np.float32(settings.crop_area_min),
        crop_aspect_min=np.float32(settings.crop_aspect_min),
        flip=np.float32(0),  # mirrored characters are other characters
        brightness_delta=delta,
        contrast_delta=delta,
        saturation_delta=delta,
        hue_delta=np.float32(0),
    )

    def loss_of(params: Any, images: Array, labels: Array) -> Float[Array, ""]:
        logits = vit.logits(variant, params, images, num_blocks=settings.num_blocks)
        targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), settings.label_smoothing)
        loss: Array = optax.softmax_cross_entropy(logits, targets).mean()
        return loss

    def step(params: Any, state: Any, examples: _Examples, batch: Array, key: Array) -> Any:
        pixels = examples.images[batch][None]
        images = augment(pixels, key[None], colours, image_size=settings.image_size, antialias=False)[0]
        loss, gradients = jax.value_and_grad(loss_of)(params, images, examples.labels[batch])
        updates, state = optimiser.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return jax.jit(step, donate_argnums=(0, 1))


def _accuracy(variant: Variant, settings: Settings, params: Any, task: Task, offset: int) -> float:
    with task.testing():
        split = task.split("test")
    count, batch = len(split.labels), settings.batch_size
    # Whole batches only, for the sake of one program: what is missing in the last is filled with the first images.
    batches = np.resize(np.arange(count), (-(-count // batch), batch))
    answers = [
        np.asarray(_answers(variant, settings.num_blocks, settings.image_size, params, split.images[indices]))
        for indices in batches
    ]
    return float(np.mean(np.concatenate(answers)[:count] - offset == split.labels))


def _answers_of(variant: Variant, num_blocks: int, image_size: int, params: Any, images: Array) -> Int[Array, " n"]:
    return vit.logits(variant, params, prepare(images, image_size, False), num_blocks=num_blocks).argmax(axis=1)


_answers = jax.jit(_answers_of, static_argnums=(0, 1, 2))


def card(settings: Settings, result: Result, command: str) -> str:
    """What there is to know about a root, as Markdown."""
    variant = get_variant(settings.variant)
    num_params = sum(array.size for leaves in result.components.values() for array in leaves.values())
    lines = [
        f"# {DEMO_NAME}.npz",
        "",
        f"ViT {settings.variant} (width {variant.width}, MLP {variant.mlp_dim}, {variant.num_heads} heads), "
        f"{settings.num_blocks} transformer blocks, {settings.image_size}x{settings.image_size} input, float32, "
        f"{num_params:,} parameters, public augreg layout, no head.",
        "",
        f"Trained from scratch on {result.num_images:,} rendered characters of {result.num_classes} classes (the "
        "training splits of the tasks below, merged) by",
        "",
        f"    {command}",
        "",
        f"{settings.num_steps:,} steps of {settings.batch_size} images: AdamW (weight decay {settings.decay:g} on "
        f"matrices), peak rate {settings.learning_rate:g}, {settings.warmup:.0%} warm-up, cosine to 0, global-norm "
        f"clip {settings.clip_norm:g}, label smoothing {settings.label_smoothing:g}; random crops (area from "
        f"{settings.crop_area_min:g}, ratio from {settings.crop_aspect_min:g}), brightness and contrast "
        f"+-{settings.colour_delta:g}; no flips. Seed {settings.seed}. It took "
        f"{result.seconds / 60:.0f} minutes on a busy two-core CPU.",
        "",
        f"| pre-training task | test accuracy (among all {result.num_classes} classes) |",
        "|---|---|",
        *(f"| {name} | {accuracy:.3f} |" for name, accuracy in result.accuracies.items()),
        "",
        "It has seen no other script, and no handwriting. The demo's tasks (digits, Greek, Cyrillic, ...) are none of "
        "these; letters that look alike across scripts (Latin and Greek o) do occur in both.",
        "",
        "The characters are drawn from fonts that matplotlib ships (DejaVu: Bitstream Vera licence; STIX: SIL OFL).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Makes the demo's root and its card."""
    parser = argparse.ArgumentParser(description="Trains the demo's root from scratch.")
    parser.add_argument("--out", required=True, type=Path, help="folder for the checkpoint and its card")
    parser.add_argument("--num_steps", type=int, default=Settings.num_steps)
    arguments = parser.parse_args()
    settings = Settings(num_steps=arguments.num_steps)
    result = pretrain(settings, say=lambda text: print(text, flush=True))
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_augreg(arguments.out / f"{DEMO_NAME}.npz", result.components)
    command = "python -m munet.training.pretrain --out=munet/assets"
    if settings != Settings():
        command += f" --num_steps={settings.num_steps}"
    (arguments.out / f"{DEMO_NAME}.md").write_text(card(settings, result, command))


if __name__ == "__main__":
    main()
