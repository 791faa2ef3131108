"""Who descends from whom, and the nearest ancestor that has a component, in logarithmic time.

In a run of thousands of tasks lineages grow long, because new tasks descend from the newest ones: tens of percent of
all models are ancestors of the next child. A walk up the lineage looks at each; here every model has, beside its
parent, one jump further up (a skew-binary list: Myers 1983, "An applicative random-access stack") and knows what the
models in between have.

It is an index: it decides nothing, and says what a walk from model to model would find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from munet.evolution.sorted_map import SortedMap
from munet.types import ComponentId, ComponentName, ComponentRecord, ModelId, ModelRecord, TaskName

# What is looked for: a component by name and size, or a model of a task.
Key = tuple[ComponentName, int] | TaskName


@dataclass(frozen=True, slots=True)
class Ascent:
    """The way up from a model.

    Attributes:
      parent: its parent; None for the root.
      jump: a proper ancestor: the parent, or one further up; None for the root.
      depth: proper ancestors.
      own: what the model has.
      skipped: what the proper ancestors below `jump` have.
    """

    parent: ModelId | None
    jump: ModelId | None
    depth: int
    own: frozenset[Key]
    skipped: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Ancestry:
    """The steps of all models, and of some that are no longer there and others descend from."""

    steps: SortedMap[ModelId, Ascent]

    @classmethod
    def of(cls, models: Mapping[ModelId, ModelRecord], components: Mapping[ComponentId, ComponentRecord]) -> Ancestry:
        """That of models with all their ancestors."""
        return cls(SortedMap()).changed(models.values(), components)

    def changed(
        self,
        models: Iterable[ModelRecord],
        components: Mapping[ComponentId, ComponentRecord],
        gone: Iterable[ModelId] = (),
    ) -> Ancestry:
        """With more models, or another parent for some that have no descendants, and without those in `gone`."""
        fresh: dict[ModelId, Ascent] = {}

        def step(model: ModelId) -> Ascent:
            return fresh[model] if model in fresh else self.steps[model]

        for model in sorted(models, key=lambda model: model.id):  # parents are older
            own = _keys(model, components)
            if model.parent is None:
                fresh[model.id] = Ascent(None, None, 0, own)
                continue
            above = step(model.parent)
            jump, skipped = model.parent, frozenset[Key]()
            if above.jump is not None:
                middle = step(above.jump)
                if middle.jump is not None and above.depth - middle.depth == middle.depth - step(middle.jump).depth:
                    jump, skipped = middle.jump, above.own | above.skipped | middle.own | middle.skipped
            fresh[model.id] = Ascent(model.parent, jump, above.depth + 1, own, skipped)
        return Ancestry(self.steps.changed(fresh, gone))

    def having(self, model: ModelId, key: Key) -> Iterator[ModelId]:
        """The model itself and its ancestors that have what is looked for, nearest first.

        Some may be there no longer: whoever asks knows which.
        """
        at: ModelId | None = model
        while at is not None:
            step = self.steps[at]
            if key in step.own:
                yield at
            at = step.parent if key in step.skipped else step.jump


def _keys(model: ModelRecord, components: Mapping[ComponentId, ComponentRecord]) -> frozenset[Key]:
    keys: set[Key] = {(name, components[id].layer_size) for name, id in model.components.items()}
    return frozenset(keys if model.task is None else keys | {model.task})
