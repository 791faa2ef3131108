"""How one child is spread over several devices: which axis of which array lies along `data` and `model`.

Batches are split over `data`. Over `model` each layer's inner axis is split (attention heads, hidden units, the
bottleneck of an adapter, classes), as in Megatron-LM (Shoeybi et al. 2019), and with it momentum and best version;
XLA's partitioner finds what must be exchanged, so sums over a batch or over all gradients are those of one device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXES = ("child", "data", "model")

# The axis that is split, by the end of an array's path. What is on no line has a copy on every device: norms and
# outer biases are small, and a split embedding would split all that is added to it, which each layer needs whole.
_SPLIT = {
    r"encoderblock_\d+/.*/(query|key|value)/kernel": 1,  # [width, heads, d]
    r"encoderblock_\d+/.*/(query|key|value)/bias": 0,
    r"encoderblock_\d+/.*/out/kernel": 0,  # [heads, d, width]
    r"(encoderblock|residual_adapter)_\d+/(MlpBlock_3/)?Dense_0/kernel": 1,  # [width, hidden]
    r"(encoderblock|residual_adapter)_\d+/(MlpBlock_3/)?Dense_0/bias": 0,
    r"(encoderblock|residual_adapter)_\d+/(MlpBlock_3/)?Dense_1/kernel": 0,  # [hidden, width]
    r"lora_\d+/(query|value)/B": 1,  # [rank, heads, d]
    r"head/kernel": 1,  # [width, classes]
    r"head/bias": 0,
}
_RULES = [(re.compile(f"(^|/){pattern}$"), axis) for pattern, axis in _SPLIT.items()]


def split_axis(path: str, shape: Sequence[int], model: int) -> int | None:
    """The axis of an array that lies along `model`; None: every device has all of it.

    Args:
      path: where it is in a tree of components, e.g. `best/encoderblock_0/MlpBlock_3/Dense_0/bias`.
      shape: of one child's array.
      model: length of the mesh axis. An axis that it does not divide is not split.
    """
    for pattern, axis in _RULES:
        if pattern.search(path):
            return axis if shape[axis] % model == 0 else None
    return None


def of_children(tree: Any, mesh: Mesh) -> Any:
    """The sharding of each array of a tree with a leading child axis."""
    model = mesh.shape["model"]

    def of_leaf(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        axis = split_axis("/".join(map(_key, path)), leaf.shape[1:], model) if model > 1 else None
        inner = () if axis is None else (None,) * axis + ("model",)
        return NamedSharding(mesh, PartitionSpec("child", *inner))

    return jax.tree_util.tree_map_with_path(of_leaf, tree)


def is_inner(mesh: Mesh) -> bool:
    """Whether a child is spread over several devices."""
    return mesh.size > mesh.shape["child"]


def partitioned(function: Callable[..., Any], mesh: Mesh, *, per_child: int) -> Callable[..., Any]:
    """`function` over children whose first `per_child` arguments, and result, are spread as `of_children` says."""

    @wraps(function)
    def spread(*arguments: Any) -> Any:
        children = jax.lax.with_sharding_constraint(arguments[:per_child], of_children(arguments[:per_child], mesh))
        result = function(*children, *arguments[per_child:])
        return jax.lax.with_sharding_constraint(result, of_children(result, mesh))

    return spread


def _key(entry: Any) -> str:
    """A step of a path in a tree: a name of a dict or a field, an index."""
    return str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", ""))))
