"""How the state changes when models of a complete run are replaced by compressed ones (`munet compress`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from munet.errors import CorruptionError
from munet.evolution.state import State
from munet.types import ROOT_MODEL, CompressionEntry, ModelId, ModelRecord


def compressed(state: State, entry: CompressionEntry) -> State:
    """The state with the entry's models in place of those that they replace, whose components go if no other uses them.

    A new model descends from what took its old parent's place; a model that stays, from its nearest ancestor that does.

    Raises:
      CorruptionError: the entry replaces what is not retained, or its ids are not the next ones.
    """
    retained = dict(state.retained)
    heirs: dict[ModelId, ModelId] = {}  # who stands for a model that is gone, for the new ones
    models = dict(state.models)
    next_id = state.next_model_id
    for model in entry.models:
        task, old = model.measured.task, state.models.get(model.replaces)
        if old is None or state.retained.get(task) != model.replaces or model.measured.retained != next_id:
            raise CorruptionError(
                f"The journal replaces model {model.replaces} of {task!r} by {model.measured.retained}: expected its "
                f"retained model, {state.retained.get(task)}, and {next_id}.",
                "Restore the work directory or start in a new one.",
            )
        parent = ROOT_MODEL if old.parent is None else old.parent
        models[next_id] = replace(
            old,
            id=next_id,
            parent=heirs.get(parent, parent),
            components=model.components,
            quality=model.quality,
            test_quality=model.measured.test_quality,
        )
        heirs[old.id] = retained[task] = next_id
        next_id += 1
    for gone in heirs:
        del models[gone]
    models = {id: replace(model, parent=nearest_kept(state, model, heirs)) for id, model in models.items()}
    components = dict(state.components) | dict(entry.published)
    after = State.of(
        position=state.position,
        models=models,
        components=components,
        retained=retained,
        active=state.active,
        seeds=state.seeds,
        next_model_id=next_id,
        evidence=state.evidence,
        plan=state.plan,
    )
    return without_unused(after)


def without_unused(state: State) -> State:
    """The state without the components that no model uses, but for the root's."""
    used = state.components_of(state.models)
    unused = [id for id, record in state.components.items() if id not in used and record.origin != "root"]
    return replace(
        state,
        components=state.components.changed({}, unused),
        positions=tuple(id for id in state.positions if id not in unused),
    )


def nearest_kept(state: State, model: ModelRecord, gone: Collection[ModelId]) -> ModelId | None:
    """Its parent, or the nearest ancestor of that which stays."""
    parent = model.parent
    while parent is not None and parent in gone:
        parent = state.models[parent].parent
    return parent
