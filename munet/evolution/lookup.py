"""Where a child's components come from: the nearest ancestor that has each, by name and shapes.

Whatever is found may be copied and trained or must be shared as it is, by the locks of its record (`ComponentRecord`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from munet.evolution.state import EvolutionError, State
from munet.types import ComponentId, ComponentName, ComponentPlan, Leaf, ModelId, ModelRecord, TaskName
from munet.vit.architecture import HEAD, POSITION, is_adapter, is_block, is_inserted, is_lora, layer_index


def num_blocks(model: ModelRecord) -> int:
    """Number of transformer blocks of a model."""
    return sum(is_block(name) for name in model.components)


def adapter_indices(model: ModelRecord) -> frozenset[int]:
    """Indices of the blocks with an adapter before them."""
    return _indices(name for name in model.components if is_adapter(name))


def lora_indices(model: ModelRecord) -> frozenset[int]:
    """Indices of the blocks with a low-rank update."""
    return _indices(name for name in model.components if is_lora(name))


def _indices(names: Iterable[ComponentName]) -> frozenset[int]:
    return frozenset(index for name in names if (index := layer_index(name)) is not None)


def find(
    state: State, model: ModelId, name: ComponentName, leaves: Mapping[str, Leaf], task: TaskName | None = None
) -> ComponentId | None:
    """The nearest component called `name` with these shapes, from `model` up to the root.

    Args:
      state: the current state.
      model: where the search begins.
      name: the component.
      leaves: its shapes.
      task: only models of this task count; None: all.
    """
    key = (name, sum(leaf.size for leaf in leaves.values())) if task is None else task
    for ancestor in state.ancestry.having(model, key):
        record = state.models.get(ancestor)  # None: the index also has some that are no longer there
        found = None if record is None else record.components.get(name)
        if found is not None and _has_shapes(state, found, leaves):
            return found
    return None


def plan_component(
    state: State,
    task: TaskName,
    parent: ModelId,
    name: ComponentName,
    leaves: Mapping[str, Leaf],
    *,
    inherit: bool,
) -> ComponentPlan:
    """How a child comes by a component before any clone mutation.

    Args:
      state: the current state.
      task: the active task.
      parent: the child's parent, where the search begins.
      name: the component.
      leaves: its shapes in the child.
      inherit: whether what the active task may train is copied and stays trainable (the published code) or is
        shared (paper, and seed children). The head is always trainable.

    Raises:
      EvolutionError: no ancestor has a component that every model must inherit.
    """
    if name == HEAD:
        head = find(state, parent, name, leaves, task)  # every other model's is locked: it is its own
        return _clone(name, head) if head is not None else _init(name)
    source = find(state, parent, name, leaves)
    if source is None:
        if name == POSITION:
            return _resized_position(state, leaves)
        if is_inserted(name):
            return _init(name)
        shapes = {path: leaf.shape for path, leaf in leaves.items()}
        raise EvolutionError(f"No ancestor of model {parent} has a {name} of shapes {shapes}: is the root incomplete?")
    if inherit and state.is_trainable(source, task):
        return _clone(name, source)
    return ComponentPlan(name, "share", source, trainable=False)


def _resized_position(state: State, leaves: Mapping[str, Leaf]) -> ComponentPlan:
    # One embedding per size serves every task: the same bytes and record, so the same id.
    for id in state.positions:
        if _has_shapes(state, id, leaves):
            return ComponentPlan(POSITION, "share", id, trainable=False)
    # Always from the checkpoint's own, which at its first resizing would have lost what larger sizes need.
    own = state.root.components[POSITION]
    return ComponentPlan(POSITION, "resize", state.components[own].parent or own, trainable=False)


def _has_shapes(state: State, component: ComponentId, leaves: Mapping[str, Leaf]) -> bool:
    own = state.components[component].layer_leaves
    return own.keys() == leaves.keys() and all(own[path].shape == leaf.shape for path, leaf in leaves.items())


def _clone(name: ComponentName, source: ComponentId) -> ComponentPlan:
    return ComponentPlan(name, "clone", source, trainable=True)


def _init(name: ComponentName) -> ComponentPlan:
    return ComponentPlan(name, "init", None, trainable=True)
