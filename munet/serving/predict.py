"""Prediction with a system's models: raw images in, class names and probabilities out.

Images are prepared exactly as validation and test images are in training, at the image size of the task's model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from munet import architecture
from munet.architecture import Variant
from munet.data import augment
from munet.data.images import on_white, squash
from munet.errors import UserError
from munet.models import vit
from munet.types import TaskName

if TYPE_CHECKING:
    from munet.system import System

_CHUNK = 256  # images at a time; also the largest batch a program is compiled for


@dataclass(frozen=True)
class Prediction:
    """What a model says of `n` images, in their order.

    Attributes:
      task: the task.
      class_names: of all classes, in the order of `probabilities`.
      probabilities: softmax of the logits; rows sum to 1.
    """

    task: TaskName
    class_names: tuple[str, ...]
    probabilities: Float[np.ndarray, "n classes"]

    @property
    def indices(self) -> Int[np.ndarray, " n"]:
        """The most probable class of each image; the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The name of the most probable class of each image."""
        return [self.class_names[index] for index in self.indices]

    @property
    def confidences(self) -> Float[np.ndarray, " n"]:
        """The probability of the most probable class of each image."""
        return self.probabilities.max(axis=1, initial=0.0)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.probabilities)


def predict(system: System, task: TaskName, images: UInt8[np.ndarray, "n h w c"] | Sequence[Any]) -> Prediction:
    """Classifies images with the retained model of a task.

    Args:
      system: of `munet.open`.
      task: a solved task.
      images: uint8 `[n, h, w, c]` with 1, 3 or 4 channels, or a list of `[h, w]` or `[h, w, c]` arrays of any sizes.

    Raises:
      UserError: no such task, or what was given are no images.
      CorruptionError: a component's file is damaged or missing.
    """
    model, info = system.model(task), system.task(task)
    pixels = normalise(images)
    variant = architecture.get_variant(system.experiment.variant)
    params = {name: jax.tree.map(jnp.asarray, vit.nest(leaves)) for name, leaves in system.load(task).items()}
    num_blocks = sum(map(architecture.is_block, model.components))
    size, antialias = int(model.hyperparameters["image_size"]), system.experiment.antialias
    canvas = 2 * max(system.experiment.search_space.image_size)  # as the task's own images were limited
    result = np.empty((len(pixels), info.num_classes), np.float32)
    for shape, members in _by_shape(pixels).items():
        is_large = max(shape[:2]) > canvas
        for start in range(0, len(members), _CHUNK):
            chosen = members[start : start + _CHUNK]
            chunk = np.stack([squash(pixels[index], canvas) if is_large else pixels[index] for index in chosen])
            # Filled up to a power of two, so that few programs are compiled whatever the number of images.
            padding = min(_CHUNK, 1 << (len(chosen) - 1).bit_length()) - len(chosen)
            padded = np.pad(chunk, [(0, padding), *[(0, 0)] * 3])
            values = _probabilities(variant, num_blocks, size, antialias, params, padded)
            result[chosen] = np.asarray(values)[: len(chosen)]
    return Prediction(task, info.class_names, result)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _probabilities(
    variant: Variant, num_blocks: int, image_size: int, antialias: bool, params: Any, images: Array
) -> Float[Array, "n classes"]:
    prepared = augment.prepare(images, image_size, antialias)
    return jax.nn.softmax(vit.logits(variant, params, prepared, num_blocks=num_blocks))


def normalise(images: UInt8[np.ndarray, "n h w c"] | Sequence[Any]) -> list[UInt8[np.ndarray, "h w c"]]:
    """Images as a list of `[h, w, c]` arrays with 1 or 3 channels; transparency is composited on white.

    Raises:
      UserError: another type, shape or number of channels; the message says which image and what is expected.
    """
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise UserError(
            f"predict() was given an array of shape {images.shape}; expected [n, h, w, c], or a list of images. "
            "One image alone: `[image]`; grey images of shape [n, h, w]: `images[..., None]`."
        )
    result = []
    for index, image in enumerate(images):
        array = np.asarray(image)
        array = array[..., None] if array.ndim == 2 else array
        if array.dtype != np.uint8:
            raise UserError(
                f"Image {index} is {array.dtype}; expected uint8 pixels from 0 to 255. Values in [0, 1]: "
                "`(255 * images).round().astype(np.uint8)`."
            )
        if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
            raise UserError(
                f"Image {index} has shape {np.shape(image)}; expected [h, w] or [h, w, c] with c = 1, 3 or 4."
            )
        result.append(on_white(array) if array.shape[-1] == 4 else array)
    return result


def _by_shape(pixels: Sequence[np.ndarray]) -> dict[tuple[int, ...], list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(pixels):
        groups.setdefault(image.shape, []).append(index)
    return groups
