"""From trained children to the store and the journal: components first, then one entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from munet.evolution.records import new_record, publishes
from munet.evolution.state import State
from munet.run.compressing import CompressedChild
from munet.store.collector import Collector
from munet.store.components import ComponentStore, component_id
from munet.training.assemble import FlatArrays, resized_position
from munet.training.trainer import TrainedChild
from munet.types import (
    ROOT_MODEL,
    ChildCost,
    ChildEntry,
    ChildPlan,
    ComponentId,
    ComponentName,
    ComponentRecord,
    GenerationEntry,
    GenerationPlan,
    ModelId,
    TaskInfo,
    Verdict,
)
from munet.vit.architecture import Variant, model_leaves


class Publisher:
    """Publishes kept children.

    Args:
      store: where components go.
      variant: the run's ViT family member.
      tasks: of the run; whoever only collects needs none.
    """

    def __init__(self, store: ComponentStore, variant: Variant, tasks: Sequence[TaskInfo] = ()):
        self._store = store
        self._collector = Collector(store)
        self._variant = variant
        self._num_classes = {task.name: task.num_classes for task in tasks}
        self._cache: dict[ComponentId, FlatArrays] = {}

    def load(self, identity: ComponentId) -> FlatArrays:
        """Arrays of a published component, read and checked once."""
        if identity not in self._cache:
            self._cache[identity] = self._store.load(identity)
        return self._cache[identity]

    def read(self, identity: ComponentId) -> FlatArrays:
        """As `load`, but what is not in memory yet is not kept there: for a look at many models."""
        return self._cache[identity] if identity in self._cache else self._store.load(identity)

    def publish(
        self,
        state: State,
        plan: GenerationPlan,
        results: Mapping[ModelId, TrainedChild],
        verdicts: Mapping[ModelId, Verdict],
    ) -> GenerationEntry:
        """Writes the components of every kept child; returns the entry to append when all of them are on disk."""
        published: dict[ComponentId, ComponentRecord] = {}
        children = []
        for child in plan.children:
            result, verdict = results[child.id], verdicts[child.id]
            ids: dict[ComponentName, ComponentId] = {}
            if verdict.is_kept:
                ids = self._components(state, child, result.best, verdict, published)
            children.append(ChildEntry(child, result.training, verdict, result.cost, ids, result.latency))
        return GenerationEntry(plan.position, plan.task, tuple(children), published, plan.data_mutations)

    def publish_compressed(
        self, plan: GenerationPlan, result: CompressedChild, verdict: Verdict, seconds: float
    ) -> GenerationEntry:
        """Writes the low-rank layers of a `compress` stage's child if it is kept; returns the entry to append.

        Args:
          plan, result, verdict: of the child.
          seconds: that finding the layers took.
        """
        (child,) = plan.children
        found, cost = result.found, ChildCost(0, seconds)
        entry = ChildEntry(child, result.training, verdict, cost, latency=result.latency)
        if not verdict.is_kept:
            return GenerationEntry(plan.position, plan.task, (entry,))
        whole = found.whole(self.load)
        for identity, record in found.published.items():
            self._store.put(record, found.arrays[identity])
            self._cache[identity] = whole(identity)
        entry = replace(entry, components=found.components[child.task])
        return GenerationEntry(plan.position, plan.task, (entry,), found.published)

    def collect(self, state: State, before: State | None = None) -> None:
        """Removes components that no model uses any more; only at the end of a phase.

        Args:
          state: after the phase.
          before: at its end; None: this is the first time, when all files are looked at.
        """
        candidates = [] if before is None else before.components_of(before.active)
        self._collector.collect(state.components, candidates)
        # What the next phase's children may well be made of stays in memory.
        kept = state.components_of((ROOT_MODEL, *state.active, *state.seeds))
        self._cache = {identity: self._cache[identity] for identity in kept & self._cache.keys()}

    def _components(
        self,
        state: State,
        child: ChildPlan,
        best: Mapping[ComponentName, FlatArrays],
        verdict: Verdict,
        published: dict[ComponentId, ComponentRecord],
    ) -> dict[ComponentName, ComponentId]:
        """Writes what a kept child publishes, adds its records to `published`, and returns its components by name."""
        if verdict.best_cycle is None:
            raise ValueError(f"child {child.id} is kept without a best cycle")
        ids: dict[ComponentName, ComponentId] = {}
        for plan in child.components:
            if not publishes(plan):
                ids[plan.name] = plan.source or ""
                continue
            untrained = self._resized(child, plan.source) if plan.action == "resize" and plan.source else None
            arrays = best[plan.name] if plan.trainable or untrained is None else untrained
            # What the child was planned with: the store refuses arrays of other shapes or precision.
            leaves = model_leaves(self._variant, plan.name, child.hyperparameters, self._num_classes[child.task])
            resized_id = None
            if untrained is not None:
                frozen = new_record(state, child, replace(plan, trainable=False), verdict.best_cycle, leaves)
                resized_id = component_id(frozen, untrained)
            record = new_record(state, child, plan, verdict.best_cycle, leaves, resized_id)
            ids[plan.name] = self._store.put(record, arrays)
            self._cache[ids[plan.name]] = arrays
            published[ids[plan.name]] = record
        return ids

    def _resized(self, child: ChildPlan, source: ComponentId) -> FlatArrays:
        """A published position embedding at the child's image size."""
        return resized_position(self.load(source), int(child.hyperparameters["image_size"]), self._variant)
