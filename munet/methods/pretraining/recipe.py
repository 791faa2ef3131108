"""How a root is trained: initial values, AdamW and its schedule, augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float, Key, UInt8

from munet import rng
from munet.config.pretrain import Recipe
from munet.data.augment import AugmentSettings, augment
from munet.data.shifts import shifted
from munet.vit.architecture import component_leaves, get_variant, path_names
from munet.vit.init import init_component

PURPOSES = ("augment", "pad", "mixup")  # of a step's random keys


def rng_path(seed: int) -> rng.Path:
    """What every draw of a training is derived from."""
    return ("pretrain", seed)


def batch_size(recipe: Recipe, num_images: int) -> int:
    """Images in a step: as configured, at most all."""
    return min(recipe.batch_size, num_images)


def num_steps(recipe: Recipe, num_images: int) -> int:
    """Length of training; at least a step."""
    return recipe.num_steps or max(round(recipe.num_epochs * num_images / batch_size(recipe, num_images)), 1)


def learning_rate(recipe: Recipe, steps: int) -> Callable[[Any], Any]:
    """The rate at a step: up from 0 to the peak, then half a cosine down to 0."""
    warmup = max(int(recipe.warmup_ratio * steps), 1)
    if steps <= warmup:  # a training of one or two steps
        return lambda _: recipe.learning_rate
    schedule: Callable[[Any], Any] = optax.warmup_cosine_decay_schedule(0.0, recipe.learning_rate, warmup, steps)
    return schedule


def optimizer(recipe: Recipe, steps: int) -> Any:
    """AdamW whose decay touches matrices only, behind a clip of the gradients' global norm."""

    def is_matrix(params: Any) -> Any:
        return {
            name: jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", tree)
            for name, tree in params.items()
        }

    return optax.chain(
        optax.clip_by_global_norm(recipe.clip_norm),
        optax.adamw(learning_rate(recipe, steps), weight_decay=recipe.weight_decay, mask=is_matrix),
    )


def initial_params(recipe: Recipe, num_classes: int, seed: int) -> dict[str, Any]:
    """Fresh parameters of every component, the same on every machine."""
    variant = get_variant(recipe.variant)
    params = {}
    for name in path_names(recipe.num_blocks):
        leaves = component_leaves(variant, name, image_size=recipe.image_size, adapter_dim=0, num_classes=num_classes)
        flat = init_component(rng.key_data((*rng_path(seed), name)), variant, name, leaves)
        params[name] = unflatten_dict({path: jnp.asarray(array) for path, array in flat.items()}, sep="/")
    return params


def augmented(
    recipe: Recipe, images: UInt8[Array, "batch h w c"], key: Key[Array, ""], pad_key: Key[Array, ""]
) -> Float[Array, "batch size size 3"]:
    """Images as the recipe varies them, in [-1, 1]."""
    settings = AugmentSettings(
        crop_area_min=np.float32(recipe.crop_area_min),
        crop_aspect_min=np.float32(recipe.crop_aspect_min),
        flip=np.float32(recipe.flip),
        brightness_delta=np.float32(recipe.brightness_delta),
        contrast_delta=np.float32(recipe.contrast_delta),
        saturation_delta=np.float32(recipe.saturation_delta),
        hue_delta=np.float32(recipe.hue_delta),
    )
    if recipe.pad_pixels:
        images = shifted(images, recipe.pad_pixels, pad_key, "reflect")
    size, antialias = recipe.image_size, recipe.antialias
    return augment(images[None], key[None], settings, image_size=size, antialias=antialias)[0]


def mixed(
    recipe: Recipe,
    images: Float[Array, "batch size size 3"],
    targets: Float[Array, "batch classes"],
    key: Key[Array, ""],
) -> tuple[Float[Array, "batch size size 3"], Float[Array, "batch classes"]]:
    """Images and targets, each mixed with its neighbour in the batch, in one proportion for a batch (mixup)."""
    if not recipe.mixup_alpha:
        return images, targets
    share = jax.random.beta(key, recipe.mixup_alpha, recipe.mixup_alpha)

    def mix(values: Array) -> Array:
        return share * values + (1 - share) * jnp.roll(values, 1, axis=0)

    return mix(images), mix(targets)
