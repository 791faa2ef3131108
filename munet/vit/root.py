"""A pretrained root as a feature extractor: what `munet.load_root` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from munet.errors import UserError
from munet.vit import forward
from munet.vit.architecture import Variant
from munet.vit.augreg import Components

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
    _params: forward.Params = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        params = {
            name: jax.tree.map(jnp.asarray, unflatten_dict(leaves, sep="/")) for name, leaves in self.components.items()
        }
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
    return forward.features(variant, params, images, num_blocks=num_blocks)
