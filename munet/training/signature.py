"""The static signature of a train program: what changes the amount of work (DESIGN section 4).

Children of a generation differ mostly in *values* (masks, gates, learning rates), which a program takes as arrays. What
must be compiled in is the depth, the lowest stage that trains, the width of adapter slots, and the shapes of a batch.
A *stage* is a block together with the adapter before it; stage -1 is the input (embedding, class token, position
embedding), and the stage after the last block is the head with the encoder norm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from munet import architecture
from munet.architecture import Variant
from munet.types import ChildPlan, ComponentName, Hyperparameters

INPUT_STAGE = -1
_ADAPTER_BUCKETS = (32, 128, 512)
_HEAD_BUCKETS = (64, 256, 512)


@dataclass(frozen=True)
class Signature:
    """What a train program is compiled for.

    Attributes:
      variant: ViT family member, e.g. `Ti/16`.
      num_blocks: depth; shallower children run in it with their upper blocks gated off.
      first_trainable: lowest stage with a trainable component: -1 for the input, `num_blocks` for head and norm only.
      adapter_dim: width of the adapter slots before every block; 0: the program has no adapters.
      image_size: pixels on a side.
      batch_size: images a step.
      head_size: padded number of classes.
    """

    variant: str
    num_blocks: int
    first_trainable: int
    adapter_dim: int
    image_size: int
    batch_size: int
    head_size: int

    def __str__(self) -> str:
        """One word, as the journal records it; `parse` reads it back."""
        return (
            f"{self.variant}:b{self.num_blocks}:t{self.first_trainable}:a{self.adapter_dim}"
            f":i{self.image_size}:n{self.batch_size}:h{self.head_size}"
        )

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Reads what `str` wrote.

        Raises:
          ValueError: `text` is no signature.
        """
        variant, *numbers = text.split(":")
        blocks, trainable, adapter, image, batch, head = (int(number[1:]) for number in numbers)
        return cls(variant, blocks, trainable, adapter, image, batch, head)

    def covers(self, other: Signature) -> bool:
        """Whether a child of signature `other` can run in a program of this one."""
        same = (self.variant, self.image_size, self.batch_size, self.head_size) == (
            other.variant,
            other.image_size,
            other.batch_size,
            other.head_size,
        )
        trains = other.trains_nothing_below_head or self.first_trainable <= other.first_trainable
        return same and trains and self.num_blocks >= other.num_blocks and self.adapter_dim >= other.adapter_dim

    @property
    def trains_nothing_below_head(self) -> bool:
        """Whether only the head and the encoder norm can train."""
        return self.first_trainable == self.num_blocks

    @property
    def for_evaluation(self) -> Signature:
        """The signature without what matters to training only, so that evaluation programs are shared more widely."""
        return replace(self, first_trainable=self.num_blocks, batch_size=0)

    def join(self, other: Signature) -> Signature:
        """The least signature that covers both (same task, image size and batch)."""
        depth = max(self.num_blocks, other.num_blocks)
        lowest = [item.first_trainable for item in (self, other) if not item.trains_nothing_below_head]
        return replace(
            self,
            num_blocks=depth,
            first_trainable=min(lowest, default=depth),
            adapter_dim=max(self.adapter_dim, other.adapter_dim),
        )

    @property
    def names(self) -> tuple[ComponentName, ...]:
        """Every component that the program has, input to output."""
        return architecture.path_names(self.num_blocks, range(self.num_blocks) if self.adapter_dim else ())

    def tunes(self, name: ComponentName) -> bool:
        """Whether the program computes gradients of a component (a mask decides whether a child uses them)."""
        return stage(name, self.num_blocks) >= self.first_trainable


def stage(name: ComponentName, num_blocks: int) -> int:
    """The stage of a component in a network of `num_blocks` blocks."""
    if name in (architecture.NORM, architecture.HEAD):
        return num_blocks
    index = architecture.layer_index(name)
    return INPUT_STAGE if index is None else index


def of_child(child: ChildPlan, variant: Variant, *, batch_size: int, num_classes: int) -> Signature:
    """The least signature that a child can run in."""
    num_blocks = sum(architecture.is_block(plan.name) for plan in child.components)
    has_adapters = any(architecture.is_adapter(plan.name) for plan in child.components)
    return Signature(
        variant=variant.name,
        num_blocks=num_blocks,
        first_trainable=min(
            (stage(plan.name, num_blocks) for plan in child.components if plan.trainable), default=num_blocks
        ),
        adapter_dim=bucket(int(child.hyperparameters["adapter_dim"]), _ADAPTER_BUCKETS) if has_adapters else 0,
        image_size=int(child.hyperparameters["image_size"]),
        batch_size=batch_size,
        head_size=head_size(num_classes),
    )


def head_size(num_classes: int) -> int:
    """The padded number of classes."""
    return bucket(num_classes, _HEAD_BUCKETS)


def bucket(size: int, buckets: Iterable[int]) -> int:
    """The least bucket that holds `size`; above the largest, the next power of two."""
    return next((limit for limit in buckets if size <= limit), 1 << math.ceil(math.log2(size)))


def of_model(
    variant: Variant,
    names: Collection[ComponentName],
    hyperparameters: Hyperparameters,
    *,
    num_blocks: int,
    num_classes: int,
) -> Signature:
    """The signature that a finished model is evaluated in: of full depth, so that models share programs."""
    has_adapters = any(architecture.is_adapter(name) for name in names)
    return Signature(
        variant=variant.name,
        num_blocks=num_blocks,
        first_trainable=num_blocks,
        adapter_dim=bucket(int(hyperparameters["adapter_dim"]), _ADAPTER_BUCKETS) if has_adapters else 0,
        image_size=int(hyperparameters["image_size"]),
        batch_size=0,
        head_size=head_size(num_classes),
    )
