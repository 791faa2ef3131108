"""Records of the components that a kept child publishes."""

from __future__ import annotations

from collections.abc import Mapping

from munet.evolution.plan import EARLIER
from munet.evolution.state import State
from munet.types import ROOT_MODEL, ChildPlan, ComponentId, ComponentPlan, ComponentRecord, Leaf, TaskName

# Where thousands of tasks descend from each other, a component may have been trained on most of them.
MOST_TASKS = 64  # whose training cycles a record lists one by one


def publishes(plan: ComponentPlan) -> bool:
    """Whether a kept child publishes a component of its own for this part of its plan."""
    return plan.action != "share"


def new_record(
    state: State,
    child: ChildPlan,
    plan: ComponentPlan,
    best_cycle: int,
    leaves: Mapping[str, Leaf],
    resized_id: ComponentId | None = None,
) -> ComponentRecord:
    """The record of one component that a kept child publishes.

    Args:
      state: the state that the child was planned in.
      child: the child.
      plan: how it came by the component; anything but `share`.
      best_cycle: the cycle that is retained, from 0.
      leaves: shapes and dtypes of its arrays by path.
      resized_id: for a trained resize, the id of the resized, untrained embedding that it is a clone of.

    Raises:
      ValueError: the component is shared, so it was published before.
    """
    if not publishes(plan):
        raise ValueError(f"Child {child.id} shares its {plan.name}: there is nothing to publish.")
    leaves = {path: leaves[path] for path in sorted(leaves)}
    if not plan.trainable:
        # Nothing of the child is in it: every task that resizes to this size makes the same record and bytes.
        return ComponentRecord(plan.name, leaves, "root-resized", parent=plan.source, model=ROOT_MODEL)
    inherited = {} if plan.source is None else _inherited(state, plan.source)
    cycles = _bounded(inherited | {child.task: inherited.get(child.task, 0) + best_cycle + 1})
    if plan.action == "init":
        return ComponentRecord(plan.name, leaves, "init", model=child.id, cycles=cycles)
    parent = resized_id if plan.action == "resize" and resized_id is not None else plan.source
    return ComponentRecord(plan.name, leaves, "clone", parent=parent, model=child.id, cycles=cycles)


def _inherited(state: State, source: ComponentId) -> dict[TaskName, int]:
    """Training cycles of what a component is cloned from; a forgotten task is none of a later one of its name."""
    record = state.components[source]
    return dict(record.cycles if state.plan is None else state.plan.cycles(record))


def _bounded(cycles: dict[TaskName, int]) -> dict[TaskName, int]:
    """Training cycles by task, where there are too many tasks those of the first ones together."""
    tasks = [task for task in cycles if task != EARLIER]
    earlier = tasks[: len(tasks) - MOST_TASKS] if len(tasks) > MOST_TASKS else []
    if not earlier:
        return cycles
    together = cycles.get(EARLIER, 0) + sum(cycles[task] for task in earlier)
    return {EARLIER: together, **{task: cycles[task] for task in tasks[len(earlier) :]}}
