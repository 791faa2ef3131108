"""Components: named layers with their parameters, of which everything but the bytes is here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from munet.types.names import ROOT_MODEL, ComponentId, ComponentName, ModelId, TaskName

Origin = Literal["root", "root-resized", "init", "clone", "low_rank"]
ROWS, COLUMNS = "/U", "/V"  # what the two factors of a low-rank leaf have behind its path


@dataclass(frozen=True)
class Leaf:
    """One array of a component: its shape and dtype name ("float32")."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """The number of elements of the array."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ComponentRecord:
    """What is known of a published component, apart from its bytes.

    Attributes:
      name: the layer it is, e.g. `encoderblock_0`.
      leaves: arrays by path inside the component, e.g. `MlpBlock_3/Dense_0/kernel`, sorted by path, as they are stored;
        of a matrix that is stored in low rank the two factors, `.../kernel/U` and `.../kernel/V`.
      origin: `root` (from the checkpoint), `root-resized` (its position embedding at another image size, the
        checkpoint's own being `parent`), `init` (new parameters), `clone` (trained from a copy of `parent`) or
        `low_rank` (`parent` stored as what it adds to `base`).
      parent: the component it was copied from, if any (it may have been collected since).
      model: the model that created it (0: the root); of a low-rank one the model that trained its parent.
      cycles: training cycles received on each task, inherited ones included, in the order of the tasks' first ones;
        of a long descent only the last (`evolution/records.py`).
      base: the component that a low-rank one is added to; it is kept and counted as long as the other is used.
    """

    name: ComponentName
    leaves: Mapping[str, Leaf]
    origin: Origin
    parent: ComponentId | None = None
    model: ModelId = ROOT_MODEL
    cycles: Mapping[TaskName, int] = field(default_factory=dict)
    base: ComponentId | None = field(default=None, metadata={"omit_default": True})

    @cached_property  # asked for with every score
    def num_params(self) -> int:
        """Number of parameters, all leaves together: those that are stored, without a base's."""
        return sum(leaf.size for leaf in self.leaves.values())

    @cached_property
    def layer_leaves(self) -> Mapping[str, Leaf]:
        """The arrays of the layer as whoever loads it gets them: a matrix where two factors are stored."""
        if self.base is None:
            return self.leaves
        layer: dict[str, Leaf] = {}
        for path, leaf in self.leaves.items():
            if path.endswith(ROWS):
                columns = self.leaves[path.removesuffix(ROWS) + COLUMNS]
                layer[path.removesuffix(ROWS)] = Leaf((*leaf.shape[:-1], *columns.shape[1:]), leaf.dtype)
            elif not path.endswith(COLUMNS):
                layer[path] = leaf
        return {path: layer[path] for path in sorted(layer)}

    @cached_property
    def layer_size(self) -> int:
        """Number of elements of the layer's arrays, however few parameters are stored of it."""
        return sum(leaf.size for leaf in self.layer_leaves.values())

    @property
    def is_root(self) -> bool:
        """Whether it carries the permanent "not trainable" lock of the root."""
        return self.origin in ("root", "root-resized")
