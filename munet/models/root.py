"""A pretrained root as a feature extractor: `munet.load_root` (DESIGN section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet.architecture import Variant, get_variant
from munet.errors import UserError
from munet.models import vit
from munet.models.checkpoints import Components, demo_root_path, inspect, load_augreg

_CHUNK = 256  # images at a time


@dataclass(frozen=True)
class Root:
    """A root model without a head.

    Attributes:
      variant: its architecture.
      num_blocks: transformer blocks used.
      image_size: pixels on a side that its position embedding is for.
      components: arrays by component and path.
    """

    variant: Variant
    num_blocks: int
    image_size: int
    components: Components
    _params: vit.Params = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        params = {name: jax.tree.map(jnp.asarray, vit.nest(leaves)) for name, leaves in self.components.items()}
        object.__setattr__(self, "_params", params)

    def features(self, images: Float[np.ndarray, "n size size 3"]) -> Float[np.ndarray, "n width"]:
        """The class token after the final norm, for float images in [-1, 1].

        Raises:
          UserError: the images have another shape or type.
        """
        images = np.asarray(images)
        expected = (self.image_size, self.image_size, 3)
        if images.shape[1:] != expected or images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
            raise UserError(
                f"features() was given {images.dtype} images of shape {images.shape}; expected float32 in [-1, 1] of "
                f"shape (n, {', '.join(map(str, expected))})."
            )
        result = np.empty((len(images), self.variant.width), np.float32)
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK].astype(np.float32)
            # Chunks after the first are filled up, so that there is one program for all of them.
            padded = np.pad(chunk, [(0, min(_CHUNK, len(images)) - len(chunk)), *[(0, 0)] * 3])
            values = _features(self.variant, self.num_blocks, self._params, padded)
            result[start : start + len(chunk)] = np.asarray(values)[: len(chunk)]
        return result


@partial(jax.jit, static_argnums=(0, 1))
def _features(variant: Variant, num_blocks: int, params: Any, images: Array) -> Array:
    return vit.features(variant, params, images, num_blocks=num_blocks)


def load_root(path: str | Path = "demo", image_size: int = 32, num_layers: int | None = None) -> Root:
    """Reads a checkpoint in the augreg layout.

    Args:
      path: the `.npz` file, or "demo" for the root in the package.
      image_size: pixels on a side, a multiple of the patch; the position embedding is resized to it.
      num_layers: how many of its first blocks to use; None: all in the file.

    Raises:
      CheckpointError: the file is missing, damaged, or of no known architecture.
      UserError: an image size or a number of layers that cannot be.
    """
    path = demo_root_path() if str(path) == "demo" else path
    name, available = inspect(path)
    variant = get_variant(name)
    num_blocks = available if num_layers is None else num_layers
    if not 1 <= num_blocks <= available:
        raise UserError(f"num_layers={num_layers}: expected 1 to {available}, the blocks in {path}.")
    if image_size < variant.patch_size or image_size % variant.patch_size:
        below = max(image_size // variant.patch_size, 1) * variant.patch_size
        raise UserError(
            f"image_size={image_size} is no multiple of {name}'s patch size {variant.patch_size}: "
            f"use {below} or {below + variant.patch_size}."
        )
    return Root(variant, num_blocks, image_size, load_augreg(path, variant, num_blocks, image_size))
