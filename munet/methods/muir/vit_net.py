"""Models of munet's ViT as architectures: every kernel of their blocks is generated, and begins as a root's.

Embedding, class token, positions, norms, biases and the head are each task's own; they begin as the root's, heads as
zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from flax import linen as nn
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from munet.methods.muir.blocks import LeafPath, Matrices, Rule, dense, into_heads, out_of_heads
from munet.methods.muir.nets import Leaves, Net, by_path
from munet.types import ComponentName
from munet.vit import forward
from munet.vit.architecture import HEAD, Variant
from munet.vit.init import FlatArrays


def _dense(path: LeafPath, shape: tuple[int, ...]) -> Matrices:
    """A kernel that begins as the root's, and so does the bias beside it, whatever `initial` says."""
    return replace(dense(path, shape), limit=0.0)


_ATTENTION = r"encoderblock_\d+/MultiHeadDotProductAttention_1"
RULE: Rule = by_path({
    rf"{_ATTENTION}/(query|key|value)/kernel": into_heads,
    rf"{_ATTENTION}/out/kernel": out_of_heads,
    r"encoderblock_\d+/MlpBlock_3/Dense_\d/kernel": _dense,
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class VitNet(Net):
    """A ViT that begins as a root.

    Attributes:
      variant: of the root.
      num_blocks: transformer blocks.
      root: its arrays by component and path, positions for the size of the images.
      classes: of the head.
    """

    variant: Variant = field(kw_only=True)
    num_blocks: int = field(kw_only=True)
    root: Mapping[ComponentName, FlatArrays] = field(kw_only=True, repr=False)
    classes: int = field(kw_only=True)

    @cached_property
    def _arrays(self) -> dict[LeafPath, np.ndarray]:
        found = {f"{name}/{path}": np.asarray(leaf) for name, part in self.root.items() for path, leaf in part.items()}
        width, count = self.variant.width, self.classes
        head = {"kernel": np.zeros((width, count), np.float32), "bias": np.zeros(count, np.float32)}
        return found | {f"{HEAD}/{path}": leaf for path, leaf in head.items()}

    @cached_property
    def leaves(self) -> dict[LeafPath, tuple[int, ...]]:
        """Shapes of all parameters, component by component, as the root has them."""
        return {path: leaf.shape for path, leaf in self._arrays.items()}

    @cached_property
    def given(self) -> dict[LeafPath, np.ndarray]:
        """What generated leaves begin as."""
        return {one.path: self._arrays[one.path] for one in self.generated}

    @property
    def statistics(self) -> dict[LeafPath, tuple[int, ...]]:
        """There are none."""
        return {}

    def own(self, words: np.ndarray) -> dict[LeafPath, np.ndarray]:  # noqa: ARG002  # nothing is drawn
        """First values of the leaves that are not generated."""
        return {path: leaf for path, leaf in self._arrays.items() if path not in self.given}

    def apply(self, leaves: Leaves, inputs: Float[Array, "batch size size 3"], *_: Any, **__: Any) -> Any:
        """Class scores of a model with these parameters."""
        params = unflatten_dict(dict(leaves), sep="/")
        return forward.logits(self.variant, params, inputs, num_blocks=self.num_blocks)


def vit(variant: Variant, num_blocks: int, size: int, root: Mapping[ComponentName, FlatArrays], classes: int) -> Net:
    """A ViT for images of some size."""
    middle = (127.5, 127.5, 127.5)  # to [-1, 1]
    return VitNet(
        f"{variant.name}-{num_blocks}", nn.Module(), (size, size, 3), RULE, objective="", metric="accuracy",
        means=middle, deviations=middle, variant=variant, num_blocks=num_blocks, root=root, classes=classes,
    )  # fmt: skip
