"""The static signature of a train program: what changes the amount of work.

Children of a generation differ mostly in *values* (masks, gates, learning rates), which a program takes as arrays. What
must be compiled in is the depth, the lowest level that trains, the width of inserted layers, and the shapes of a batch.
A *level* is a block together with the adapter before it and its low-rank update; level -1 is the input (embedding,
class token, position embedding), and the level after the last block is the head with the encoder norm.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentName, Hyperparameters, Leaf
from munet.vit import architecture

INPUT_LEVEL = -1
_ADAPTER_BUCKETS = (32, 128, 512)
_LORA_BUCKETS = (8, 32, 128)
_HEAD_BUCKETS = (64, 256, 512)


@dataclass(frozen=True)
class Signature:
    """What a train program is compiled for.

    Attributes:
      variant: ViT family member, e.g. `Ti/16`.
      num_blocks: depth; shallower children run in it with their upper blocks gated off.
      first_trainable: lowest level with a trainable component: -1 for the input, `num_blocks` for head and norm only.
      adapter_dim: width of the adapters before every block; 0: the program has none.
      image_size: pixels on a side.
      batch_size: images a step.
      head_size: padded number of classes.
      lora_rank: rank of the low-rank updates at every block; 0: the program has none.
      frozen: blocks, from the lowest trainable level up, that only pass gradients on to what trains below and beside
        them, so that no gradients of their own weights are made: a third of a block's work.
      dtype: of activations and products, "float32" or "bfloat16"; parameters, norms, softmax and loss are float32.
    """

    variant: str
    num_blocks: int
    first_trainable: int
    adapter_dim: int
    image_size: int
    batch_size: int
    head_size: int
    lora_rank: int = 0
    frozen: tuple[int, ...] = ()
    dtype: str = "float32"

    def __str__(self) -> str:
        """One word, as the journal records it; `parse` reads it back."""
        text = (
            f"{self.variant}:b{self.num_blocks}:t{self.first_trainable}:a{self.adapter_dim}"
            f":i{self.image_size}:n{self.batch_size}:h{self.head_size}"
        )
        # Only what a program has is named, so that programs of older journals are called as they ever were.
        if self.lora_rank:
            text += f":r{self.lora_rank}"
        if self.frozen:
            text += f":z{'.'.join(map(str, self.frozen))}"
        if self.dtype != "float32":
            text += f":d{self.dtype}"
        return text

    @classmethod
    @functools.cache  # a run asks for all of its programs with every generation
    def parse(cls, text: str) -> Signature:
        """Reads what `str` wrote.

        Raises:
          ValueError: `text` is no signature.
        """
        variant, *words = text.split(":")
        values = {word[:1]: word[1:] for word in words}
        if not set("btainh") <= set(values) <= set("btainhrfzd"):
            raise ValueError(f"{text!r} is no signature of a program")
        frozen = tuple(map(int, values.pop("z").split("."))) if "z" in values else ()
        dtype = values.pop("d", "float32")
        numbers = {name: int(value) for name, value in values.items()}
        if "f" in numbers:  # in journals of version 0.1: so many blocks from the lowest trainable level up
            lowest = max(numbers["t"], 0)
            frozen = tuple(range(lowest, lowest + numbers["f"]))
        blocks, lowest, adapter, image, batch, head = (numbers[name] for name in "btainh")
        return cls(variant, blocks, lowest, adapter, image, batch, head, numbers.get("r", 0), frozen, dtype)

    def covers(self, other: Signature) -> bool:
        """Whether a child of signature `other` can run in a program of this one."""
        same = all(
            getattr(self, name) == getattr(other, name)
            for name in ("variant", "image_size", "batch_size", "head_size", "dtype")
        )
        trains = other.trains_nothing_below_head or self.first_trainable <= other.first_trainable
        trains_blocks = other.trained_blocks <= self.trained_blocks
        is_large_enough = (
            self.num_blocks >= other.num_blocks
            and self.adapter_dim >= other.adapter_dim
            and self.lora_rank >= other.lora_rank
        )
        return same and trains and trains_blocks and is_large_enough

    @cached_property
    def trained_blocks(self) -> frozenset[int]:
        """The blocks whose own weights the program trains."""
        return frozenset(range(max(self.first_trainable, 0), self.num_blocks)) - set(self.frozen)

    @property
    def trains_nothing_below_head(self) -> bool:
        """Whether only the head and the encoder norm can train."""
        return self.first_trainable == self.num_blocks

    @property
    def for_evaluation(self) -> Signature:
        """The signature without what matters to training only, so that evaluation programs are shared more widely."""
        return replace(self, first_trainable=self.num_blocks, batch_size=0, frozen=())

    def join(self, other: Signature) -> Signature:
        """The least signature that covers both (same task, image size and batch)."""
        depth = max(self.num_blocks, other.num_blocks)
        lowest = min((i.first_trainable for i in (self, other) if not i.trains_nothing_below_head), default=depth)
        trained = self.trained_blocks | other.trained_blocks
        return replace(
            self,
            num_blocks=depth,
            first_trainable=lowest,
            adapter_dim=max(self.adapter_dim, other.adapter_dim),
            lora_rank=max(self.lora_rank, other.lora_rank),
            frozen=_frozen(depth, lowest, trained),
        )

    @cached_property
    def names(self) -> tuple[ComponentName, ...]:
        """Every component that the program has, input to output."""
        blocks = range(self.num_blocks)
        return architecture.path_names(
            self.num_blocks, blocks if self.adapter_dim else (), blocks if self.lora_rank else ()
        )

    def leaves(self, name: ComponentName) -> dict[str, Leaf]:
        """The arrays of a component in the program's shapes; of one that the program has not, as narrow as can be."""
        return architecture.component_leaves(
            architecture.get_variant(self.variant),
            name,
            image_size=self.image_size,
            adapter_dim=max(self.adapter_dim, 1),
            num_classes=self.head_size,
            lora_rank=max(self.lora_rank, 1),
        )

    def tunes(self, name: ComponentName) -> bool:
        """Whether the program computes gradients of a component (a mask decides whether a child uses them)."""
        return _tunes(self, name)


@functools.cache  # asked for with every array of every child
def _tunes(signature: Signature, name: ComponentName) -> bool:
    """See `Signature.tunes`."""
    own = level(name, signature.num_blocks)
    return own in signature.trained_blocks if architecture.is_block(name) else own >= signature.first_trainable


def level(name: ComponentName, num_blocks: int) -> int:
    """The level of a component in a network of `num_blocks` blocks."""
    if name in (architecture.NORM, architecture.HEAD):
        return num_blocks
    index = architecture.layer_index(name)
    return INPUT_LEVEL if index is None else index


def of_child(child: ChildPlan, work: TaskWork) -> Signature:
    """The least signature that a child can run in."""
    names = [plan.name for plan in child.components]
    num_blocks = sum(map(architecture.is_block, names))
    trained = [plan.name for plan in child.components if plan.trainable]
    lowest = min((level(name, num_blocks) for name in trained), default=num_blocks)
    blocks = [level(name, num_blocks) for name in trained if architecture.is_block(name)]
    return Signature(
        variant=work.variant.name,
        num_blocks=num_blocks,
        first_trainable=lowest,
        adapter_dim=_adapter_dim(names, child.hyperparameters),
        image_size=int(child.hyperparameters["image_size"]),
        batch_size=work.batch_size,
        head_size=head_size(work.num_classes),
        lora_rank=_lora_rank(names, child.hyperparameters),
        frozen=_frozen(num_blocks, lowest, blocks),
        dtype=work.dtype,
    )


def _frozen(num_blocks: int, first_trainable: int, trained: Collection[int]) -> tuple[int, ...]:
    """The blocks from the lowest trainable level up that are not among `trained`."""
    return tuple(index for index in range(max(first_trainable, 0), num_blocks) if index not in trained)


def head_size(num_classes: int) -> int:
    """The padded number of classes."""
    return bucket(num_classes, _HEAD_BUCKETS)


def adapter_bucket(dim: int) -> int:
    """The width that a program gives to adapters of width `dim`."""
    return bucket(dim, _ADAPTER_BUCKETS)


def lora_bucket(rank: int) -> int:
    """The rank that a program gives to low-rank updates of rank `rank`."""
    return bucket(rank, _LORA_BUCKETS)


def bucket(size: int, buckets: Iterable[int]) -> int:
    """The least bucket that holds `size`; above the largest, the next power of two."""
    return next((limit for limit in buckets if size <= limit), 1 << math.ceil(math.log2(size)))


def of_model(names: Collection[ComponentName], hyperparameters: Hyperparameters, work: TaskWork) -> Signature:
    """The signature that a finished model is evaluated in: of full depth, so that models share programs."""
    return Signature(
        variant=work.variant.name,
        num_blocks=work.num_blocks,
        first_trainable=work.num_blocks,
        adapter_dim=_adapter_dim(names, hyperparameters),
        image_size=int(hyperparameters["image_size"]),
        batch_size=0,
        head_size=head_size(work.num_classes),
        lora_rank=_lora_rank(names, hyperparameters),
        dtype=work.dtype,
    )


def _adapter_dim(names: Iterable[ComponentName], hyperparameters: Hyperparameters) -> int:
    """The bucket of a network's adapters; 0 if it has none."""
    has_adapters = any(map(architecture.is_adapter, names))
    return adapter_bucket(int(hyperparameters["adapter_dim"])) if has_adapters else 0


def _lora_rank(names: Iterable[ComponentName], hyperparameters: Hyperparameters) -> int:
    """The bucket of a network's low-rank updates; 0 if it has none."""
    has_lora = any(map(architecture.is_lora, names))
    return lora_bucket(architecture.lora_rank(hyperparameters)) if has_lora else 0
