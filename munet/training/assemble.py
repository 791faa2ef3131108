"""From a child's plan to the arrays its program takes: parameters padded to the signature, masks, gates, settings.

Padding never leaves this module and `extract`: absent blocks and adapters hold zeros and a gate of 0, narrower adapters
and smaller heads hold zeros and a mask, absent low-rank updates and lower ranks just zeros; `extract` cuts back to what
the store sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from munet import rng
from munet.training.program.optimizer import OptimizerSettings
from munet.training.program.signature import Signature
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentId, ComponentName, ComponentPlan, Leaf
from munet.vit import architecture
from munet.vit.architecture import HEAD, Variant
from munet.vit.forward import Gates
from munet.vit.init import FlatArrays as FlatArrays
from munet.vit.init import init_component, resize_position_embedding

Load = Callable[[ComponentId], FlatArrays]  # arrays of a published component
Nested = dict[str, Any]


class Control(NamedTuple):
    """What differs between children as values; every leaf may carry a leading child axis."""

    masks: dict[ComponentName, Float[Array, ""]]  # 1: this component trains; of tuned components only
    gates: Gates
    settings: OptimizerSettings


class ChildArrays(NamedTuple):
    """One child, ready for its program: components that the program tunes, the others, and the control values."""

    tuned: Nested
    fixed: Nested
    control: Control


def component_arrays(child: ChildPlan, plan: ComponentPlan, work: TaskWork, load: Load) -> FlatArrays:
    """The unpadded arrays a child starts one component from.

    New parameters are drawn from a key of the run's seed and the child's id, so a re-run draws the same.
    """
    if plan.action == "init":
        leaves = leaves_of(child, plan.name, work.variant, work.num_classes)
        return init_component(rng.key_data((work.seed, "init", child.id, plan.name)), work.variant, plan.name, leaves)
    if plan.source is None:
        raise ValueError(f"child {child.id}: {plan.action} of {plan.name} names no source")
    arrays = load(plan.source)
    if plan.action != "resize":
        return arrays
    return resized_position(arrays, int(child.hyperparameters["image_size"]), work.variant)


def resized_position(arrays: FlatArrays, image_size: int, variant: Variant) -> FlatArrays:
    """A position embedding component at another image size (its own size follows from its shape)."""
    patch = variant.patch_size
    return {
        path: resize_position_embedding(array, math.isqrt(array.shape[1] - 1) * patch, image_size, patch)
        for path, array in arrays.items()
    }


def leaves_of(child: ChildPlan, name: ComponentName, variant: Variant, num_classes: int) -> dict[str, Leaf]:
    """Paths and unpadded shapes of one component of a child."""
    return architecture.model_leaves(variant, name, child.hyperparameters, num_classes)


def assemble(
    child: ChildPlan, signature: Signature, work: TaskWork, load: Load, head: FlatArrays | None = None
) -> ChildArrays:
    """Builds one child for a program that covers it.

    Args:
      child: the plan.
      signature: the program's; it must cover the child's own.
      work: its classes before padding, the run's seed, and the length of training, for the schedule.
      load: arrays of a published component.
      head: what a new head starts from, where that is not drawn (`measure/class_means.py`).
    """
    plans = {plan.name: plan for plan in child.components}
    tuned: Nested = {}
    fixed: Nested = {}
    masks: dict[ComponentName, Array] = {}
    for name in signature.names:
        flat: FlatArrays = {}
        if name in plans:
            flat = component_arrays(child, plans[name], work, load)
        if name == HEAD and head is not None:
            flat = head
        if signature.tunes(name):
            tuned[name] = pad(flat, signature, name)
            masks[name] = jnp.float32(name in plans and plans[name].trainable)
        else:
            fixed[name] = pad(flat, signature, name)
    settings = OptimizerSettings.from_hyperparameters(
        child.hyperparameters, steps_per_cycle=work.steps_per_cycle, num_cycles=work.num_cycles
    )
    adapter_dim = int(child.hyperparameters["adapter_dim"])
    own = gates(plans, signature, adapter_dim=adapter_dim, num_classes=work.num_classes)
    return ChildArrays(tuned, fixed, Control(masks, own, settings))


def pad(arrays: FlatArrays, signature: Signature, name: ComponentName) -> Nested:
    """A component in its program's shapes, the rest zeros; no arrays give a component that is absent."""
    padded = {path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in signature.leaves(name).items()}
    for path, array in arrays.items():
        padded[path][tuple(slice(size) for size in array.shape)] = array
    return unflatten_dict(padded, sep="/")


def gates(names: Collection[ComponentName], signature: Signature, *, adapter_dim: int, num_classes: int) -> Gates:
    """Which blocks, adapters, inner units and classes of a program a network really has, as 0 and 1."""
    blocks = range(signature.num_blocks)
    return Gates(
        blocks=jnp.array([architecture.block_name(index) in names for index in blocks], jnp.float32),
        adapters=jnp.array([architecture.adapter_name(index) in names for index in blocks], jnp.float32),
        adapter_units=jnp.array(np.arange(max(signature.adapter_dim, 1)) < adapter_dim, jnp.float32),
        classes=jnp.array(np.arange(signature.head_size) < num_classes, jnp.float32),
    )


def extract(padded: FlatArrays, leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
    """Cuts a component's padded arrays back to their real shapes."""
    return {
        path: np.ascontiguousarray(padded[path][tuple(slice(size) for size in leaf.shape)])
        for path, leaf in leaves.items()
    }


def stack(children: list[ChildArrays]) -> ChildArrays:
    """Children of one program with a leading child axis on every array."""
    stacked: ChildArrays = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *children)
    return stacked
