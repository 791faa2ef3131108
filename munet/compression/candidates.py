"""Which layers of some models may be stored in low rank, and what each is added to: the layer it was cloned from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from munet.evolution.state import State
from munet.types import ComponentId, ModelRecord, TaskName


@dataclass(frozen=True)
class Candidate:
    """A layer that may be stored in low rank.

    Attributes:
      id: the component.
      base: what it would be added to.
      users: the tasks whose models have it.
    """

    id: ComponentId
    base: ComponentId
    users: tuple[TaskName, ...]


def candidates(
    state: State, models: Mapping[TaskName, ModelRecord], without: Collection[ComponentId] = ()
) -> list[Candidate]:
    """The layers that only these models use and that have a base of the same shapes, older ones first.

    A base is the nearest layer up the line of clones that is there, is stored whole and stays so, the root's being the
    last; one that some model uses comes before those that would only be kept as a base. What is a base here is no
    candidate itself.

    Args:
      state: the system.
      models: those that are to be compressed.
      without: components that are not to be bases.
    """
    there = {id for model in models.values() for id in state.used_by(model)}
    users: dict[ComponentId, list[TaskName]] = {}
    for task, model in sorted(models.items(), key=lambda item: item[1].id):
        for id in model.components.values():
            users.setdefault(id, []).append(task)
    found: dict[ComponentId, Candidate] = {}
    for id, tasks in users.items():
        record = state.components[id]
        if record.is_root or record.base is not None or num_outside_users(state, models, id):
            continue
        possible = [
            base for base in _line(state, id) if base not in found and base not in without and _fits(state, id, base)
        ]
        # One that is used anyway costs nothing; Python's sort keeps nearer ones first.
        possible.sort(key=lambda base: base not in there and not num_outside_users(state, models, base))
        if possible:
            found[id] = Candidate(id, possible[0], tuple(tasks))
    bases = {candidate.base for candidate in found.values()}
    return [candidate for candidate in found.values() if candidate.id not in bases]


def num_outside_users(state: State, models: Mapping[TaskName, ModelRecord], component: ComponentId) -> int:
    """How many retained models of other tasks than these use a component."""
    own = [state.models[state.retained[task]] for task in models if task in state.retained]
    return state.num_users.get(component, 0) - sum(component in state.used_by(model) for model in own)


def _line(state: State, id: ComponentId) -> Iterable[ComponentId]:
    """What a component was cloned from, what that was cloned from, and the root's layer of the same name."""
    name = state.components[id].name
    above = state.components[id].parent
    while above is not None and above in state.components:
        yield above
        above = state.components[above].parent
    if (root := state.root.components.get(name)) is not None:
        yield root


def _fits(state: State, id: ComponentId, base: ComponentId) -> bool:
    own, other = state.components[id], state.components[base]
    return other.base is None and other.name == own.name and other.leaves == own.leaves
