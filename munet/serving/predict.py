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
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float, Int, UInt8

from munet.data import augment
from munet.data.images import on_white, squash
from munet.errors import UserError
from munet.types import TaskName
from munet.vit import architecture, forward
from munet.vit.architecture import Variant

if TYPE_CHECKING:
    from munet.system.view import RunView

_SMALLEST, _CHUNK = 8, 256  # images in a batch, powers of two


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {confidence:.0%}" for name, confidence in zip(self.names[:8], self.confidences, strict=False)
        )
        return f"Prediction({self.task!r}, {len(self):,} images: {shown}{', ...' if len(self) > 8 else ''})"

    def __len__(self) -> int:
        """The number of images that were classified."""
        return len(self.probabilities)


def predict(system: RunView, task: TaskName, images: UInt8[np.ndarray, "n h w c"] | Sequence[Any]) -> Prediction:
    """Classifies images with the retained model of a task.

    Args:
      system: of `munet.open`.
      task: a solved task.
      images: uint8 `[n, h, w, c]` with 1, 3 or 4 channels or `[n, h, w]`, or a list of `[h, w]` or `[h, w, c]` arrays
        of any sizes.

    Raises:
      UserError: no such task, or what was given are no images.
      CorruptionError: a component's file is damaged or missing.
    """
    model, info = system.model(task), system.task(task)
    pixels = normalise(images)
    variant = architecture.get_variant(system.experiment.variant)
    params = {
        name: jax.tree.map(jnp.asarray, unflatten_dict(leaves, sep="/")) for name, leaves in system.load(task).items()
    }
    num_blocks = sum(map(architecture.is_block, model.components))
    size, antialias = int(model.hyperparameters["image_size"]), system.experiment.antialias
    canvas = 2 * max(system.experiment.search_space.image_size)  # as the task's own images were limited
    result = np.empty((len(pixels), info.num_classes), np.float32)
    for start in range(0, len(pixels), _CHUNK):
        prepared = _prepare(pixels[start : start + _CHUNK], size, antialias, canvas)
        values = _probabilities(variant, num_blocks, params, _fill_up(prepared))
        result[start : start + len(prepared)] = np.asarray(values)[: len(prepared)]
    return Prediction(task, info.class_names, result)


def _prepare(
    pixels: Sequence[UInt8[np.ndarray, "_ _ _"]], size: int, antialias: bool, canvas: int
) -> Float[np.ndarray, "n size size 3"]:
    """Images of any shapes as validation images are prepared; one small program for every shape."""
    result = np.empty((len(pixels), size, size, 3), np.float32)
    for shape, members in _by_shape(pixels).items():
        is_large = max(shape[:2]) > canvas
        chosen = np.stack([squash(pixels[index], canvas) if is_large else pixels[index] for index in members])
        result[members] = np.asarray(_resize(_fill_up(chosen), size, antialias))[: len(members)]
    return result


def _fill_up(batch: np.ndarray) -> np.ndarray:
    """Fills a batch up to a power of two from 8, so that few programs are compiled whatever the number of images."""
    padding = max(_SMALLEST, 1 << (len(batch) - 1).bit_length()) - len(batch)
    return np.pad(batch, [(0, padding), *[(0, 0)] * 3])


_resize = jax.jit(augment.prepare, static_argnums=(1, 2))


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(variant: Variant, num_blocks: int, params: Any, images: Array) -> Float[Array, "n classes"]:
    return jax.nn.softmax(forward.logits(variant, params, images, num_blocks=num_blocks))


def normalise(images: UInt8[np.ndarray, "n h w c"] | Sequence[Any]) -> list[UInt8[np.ndarray, "h w c"]]:
    """Images as a list of `[h, w, c]` arrays with 1 or 3 channels; transparency is composited on white.

    Raises:
      UserError: another type, shape or number of channels; the message says which image and what is expected.
    """
    if isinstance(images, np.ndarray) and images.ndim == 3 and images.shape[-1] > 4:
        images = images[..., None]  # grey images: no single one has so many channels
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
