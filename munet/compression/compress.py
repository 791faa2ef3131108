"""Compresses models of a system: candidates, ranks chosen by validation, and what is to be published of them.

Usable on a finished run (`munet compress`) and on a model that a run has just finished: nothing is written here.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from munet.compression import choice
from munet.compression.candidates import Candidate, candidates, num_outside_users
from munet.compression.choice import RANKS, Layer, Ranks
from munet.evolution.state import State
from munet.quality import least_compressed
from munet.store.components import component_id
from munet.store.low_rank import Update, materialised
from munet.types import ComponentId, ComponentName, ComponentRecord, Leaf, ModelRecord, Quality, TaskName
from munet.vit.init import FlatArrays

Load = Callable[[ComponentId], FlatArrays]
# The validation quality of a task's model with these arrays, by component name.
Measure = Callable[[TaskName, Mapping[ComponentName, FlatArrays]], Quality]


@dataclass(frozen=True)
class Compression:
    """What became of some models.

    Attributes:
      components: by task, component id by name, in path order; only of tasks of which something was compressed.
      published: the records of the new components; their bases are there already.
      arrays: what is to be stored of each.
      ranks: by task, the rank of each compressed component by name; 0: its base itself.
      before, after: validation quality of each task, also of those that stay.
    """

    components: Mapping[TaskName, Mapping[ComponentName, ComponentId]] = field(default_factory=dict)
    published: Mapping[ComponentId, ComponentRecord] = field(default_factory=dict)
    arrays: Mapping[ComponentId, FlatArrays] = field(default_factory=dict)
    ranks: Mapping[TaskName, Mapping[ComponentName, int]] = field(default_factory=dict)
    before: Mapping[TaskName, Quality] = field(default_factory=dict)
    after: Mapping[TaskName, Quality] = field(default_factory=dict)

    def whole(self, load: Load) -> Load:
        """As `load`, also for the new components before they are stored."""

        def load_any(id: ComponentId) -> FlatArrays:
            base = self.published[id].base if id in self.published else None
            return load(id) if base is None else materialised(self.arrays[id], load(base))

        return load_any


def compress(
    state: State,
    models: Mapping[TaskName, ModelRecord],
    load: Load,
    measure: Measure,
    *,
    tolerance: float | None = None,
    ranks: Collection[int] = RANKS,
) -> Compression:
    """Stores what it can of some models in low rank, so that none loses more quality than it may.

    Args:
      state: the system that they are of; layers that other tasks' models use stay as they are.
      models: one a task: retained ones, or one that is about to be.
      load: arrays of a component.
      measure: validation quality.
      tolerance: points of quality that a task may lose; None: a standard error of it.
      ranks: to choose from, beside 0 and being whole.
    """
    search = _Search(state, models, load, measure, tolerance, ranks)
    without: set[ComponentId] = set()
    while True:
        chosen = search.chosen(without)
        # A base that is only there for low-rank layers must save more than it has itself.
        wasted = search.wasted_bases(chosen)
        if not wasted:
            return search.result(chosen)
        without |= wasted


Chosen = dict[Candidate, int]


class _Search:
    """The models being compressed, and what was measured of them so far."""

    def __init__(
        self,
        state: State,
        models: Mapping[TaskName, ModelRecord],
        load: Load,
        measure: Measure,
        tolerance: float | None,
        ranks: Collection[int],
    ):
        self._state, self._models, self._load, self._measure = state, models, load, measure
        self._ranks = sorted({0, *ranks})
        self._there = {id for model in models.values() for id in state.used_by(model)}
        self._updates: dict[tuple[ComponentId, ComponentId], Update] = {}
        self._measured: dict[object, Quality] = {}
        self.before = {task: self.quality(task, {}) for task in models}
        self._least = {task: least_compressed(quality, tolerance) for task, quality in self.before.items()}

    def chosen(self, without: Collection[ComponentId]) -> Chosen:
        """The ranks of all layers, task by task, older models first; what is shared is chosen with its first user."""
        found = candidates(self._state, self._models, without)
        shares = Counter(candidate.base for candidate in found)
        chosen: Chosen = {}
        for task in sorted(self._models, key=lambda task: self._models[task].id):
            self._updates.clear()  # the decompositions of one task's layers at a time
            own = {item.id: item for item in found if task in item.users and item not in chosen}

            layers = [self._layer(item, shares) for item in own.values()]
            found_ranks = choice.choose(layers, functools.partial(self._holds, chosen, own))
            chosen |= {own[id]: rank for id, rank in found_ranks.items()}
        return chosen

    def _holds(self, decided: Chosen, own: Mapping[ComponentId, Candidate], ranks: Ranks) -> bool:
        """Whether every task that has any of these layers is still good enough with them."""
        every = {**decided, **{own[id]: rank for id, rank in ranks.items()}}
        users = sorted({user for id in ranks for user in own[id].users})
        return all(self.quality(user, every).ratio >= self._least[user] for user in users)

    def wasted_bases(self, chosen: Chosen) -> set[ComponentId]:
        """Bases that cost more than the layers on them save."""
        saved: Counter[ComponentId] = Counter()
        for item, rank in chosen.items():
            saved[item.base] += self._size(item.id) - self._update(item).num_params(rank) * (rank > 0)
        return {base for base, params in saved.items() if self._is_extra(base) and params <= self._size(base)}

    def quality(self, task: TaskName, chosen: Mapping[Candidate, int]) -> Quality:
        """Validation quality of a task's model with some layers in low rank, measured once."""
        own = {item.id: (item, rank) for item, rank in chosen.items() if task in item.users}
        key = task, frozenset(own.values())
        if key not in self._measured:
            arrays = {
                name: self._arrays(*own[id]) if id in own else self._load(id)
                for name, id in self._models[task].components.items()
            }
            self._measured[key] = self._measure(task, arrays)
        return self._measured[key]

    def result(self, chosen: Chosen) -> Compression:
        """What is to be published."""
        published: dict[ComponentId, ComponentRecord] = {}
        arrays: dict[ComponentId, FlatArrays] = {}
        new: dict[ComponentId, ComponentId] = {}
        ranks = {item.id: rank for item, rank in chosen.items()}
        for item, rank in chosen.items():
            if rank == 0:
                new[item.id] = item.base
                continue
            stored = self._update(item).stored(rank)
            record = low_rank_record(self._state.components[item.id], item.id, item.base, stored)
            new[item.id] = component_id(record, stored)
            published[new[item.id]], arrays[new[item.id]] = record, stored
        components, by_name = {}, {}
        for task, model in self._models.items():
            if new.keys() & set(model.components.values()):
                components[task] = {name: new.get(id, id) for name, id in model.components.items()}
                by_name[task] = {name: ranks[id] for name, id in model.components.items() if id in ranks}
        after = {task: self.quality(task, chosen) for task in self._models}
        return Compression(components, published, arrays, by_name, self.before, after)

    def _layer(self, item: Candidate, shares: Mapping[ComponentId, int]) -> Layer:
        extra = self._size(item.base) / shares[item.base] if self._is_extra(item.base) else 0.0
        update, whole = self._update(item), self._size(item.id)
        params = {rank: extra + (update.num_params(rank) if rank else 0) for rank in self._ranks}
        return Layer(item.id, whole, params)

    def _is_extra(self, base: ComponentId) -> bool:
        """Whether no model would use a base if it were not one: what is a base and a model's layer stays whole."""
        return base not in self._there and not num_outside_users(self._state, self._models, base)

    def _arrays(self, item: Candidate, rank: int) -> FlatArrays:
        base = self._load(item.base)
        return materialised(self._update(item).stored(rank), base) if rank else base

    def _update(self, item: Candidate) -> Update:
        key = item.id, item.base
        if key not in self._updates:
            self._updates[key] = Update(self._load(item.id), self._load(item.base))
        return self._updates[key]

    def _size(self, id: ComponentId) -> int:
        return self._state.components[id].num_params


def low_rank_record(record: ComponentRecord, id: ComponentId, base: ComponentId, stored: FlatArrays) -> ComponentRecord:
    """The record of a component that is stored as what it adds to another.

    Args:
      record, id: of the component as it was.
      base: the other.
      stored: the arrays that are stored of it.
    """
    leaves = {path: Leaf(stored[path].shape, stored[path].dtype.name) for path in sorted(stored)}
    return ComponentRecord(record.name, leaves, "low_rank", id, record.model, record.cycles, base)
