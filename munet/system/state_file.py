"""A state as compact JSON and back, for snapshots: every shape, setting and component id is written once.

With thousands of tasks most of a state is repetition: components of the same shapes, models with the same settings and
the same components. Here they lie in tables, and all else names them by their place. What comes back shares them in
memory too, and makes its indices anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from munet import config
from munet.config import Experiment
from munet.errors import CorruptionError
from munet.evolution.plan import Forgotten, Phase, PhaseSettings, Plan
from munet.evolution.state import State
from munet.store import codec
from munet.types import ComponentName, ComponentRecord, Leaf, ModelRecord, Position, Quality, TaskInfo


def to_json(state: State) -> dict[str, Any]:
    """The state as JSON values."""
    shapes, settings, paths = _Shapes(), _Table(), _Table()
    places = {id: place for place, id in enumerate(state.components)}
    components = [
        [
            id,
            record.name,
            shapes.place(record),
            record.origin,
            places.get(record.parent, record.parent) if record.parent is not None else None,
            record.model,
            record.cycles,  # the longest of all, so not copied
            *([] if record.base is None else [places[record.base]]),
        ]
        for id, record in state.components.items()
    ]
    models = [
        [
            model.id,
            model.task,
            model.parent,
            settings.place(dict(model.hyperparameters)),
            paths.place(list(model.components)),
            [places[id] for id in model.components.values()],
            _quality(model.quality),
            model.offspring,
            _quality(model.test_quality),
            model.latency,
        ]
        for model in state.models.values()
    ]
    return {
        "position": codec.to_json(state.position),
        "shapes": shapes.rows,
        "components": components,
        "settings": settings.rows,
        "paths": paths.rows,
        "models": models,
        "retained": dict(state.retained),
        "active": list(state.active),
        "seeds": list(state.seeds),
        "next_model_id": state.next_model_id,
        # Only where they say something: a run without stages is written as it ever was.
        **({"phase_images": state.phase_images} if state.phase_images else {}),
        **({"evidence": state.evidence} if state.evidence else {}),
        **({"plan": _plan(state.plan)} if state.plan else {}),
    }


def from_json(data: Any) -> State:
    """The state that `to_json` made `data` from.

    Raises:
      CorruptionError: it was made by another version.
    """
    try:
        return _state(data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CorruptionError(f"This is no state as this version of munet writes it: {error!r}.") from None


def _state(data: Any) -> State:
    shapes: list[dict[str, Leaf]] = [
        {path: Leaf(tuple(shape), dtype) for path, dtype, *shape in row} for row in data["shapes"]
    ]
    ids: list[str] = [row[0] for row in data["components"]]
    components = {
        id: ComponentRecord(
            name,
            shapes[shape],
            origin,
            ids[parent] if type(parent) is int else parent,
            model,
            cycles,
            ids[base[0]] if base else None,
        )
        for id, name, shape, origin, parent, model, cycles, *base in data["components"]
    }
    settings, paths = data["settings"], data["paths"]
    models = {
        id: ModelRecord(
            id,
            task,
            parent,
            settings[setting],
            {name: ids[place] for name, place in zip(paths[path], places, strict=True)},
            _quality_of(quality),
            offspring,
            _quality_of(test_quality),
            latency,
        )
        for id, task, parent, setting, path, places, quality, offspring, test_quality, latency in data["models"]
    }
    return State.of(
        position=codec.from_json(Position, data["position"]),
        models=models,
        components=components,
        retained=data["retained"],
        active=tuple(data["active"]),
        seeds=tuple(data["seeds"]),
        next_model_id=data["next_model_id"],
        phase_images=data.get("phase_images", 0),
        evidence={
            name: tuple((count, total) for count, total in row) for name, row in data.get("evidence", {}).items()
        },
        plan=_plan_of(data["plan"]) if "plan" in data else None,
    )


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "tasks": [codec.to_json(task) for task in plan.tasks],
        "phases": [[phase.iteration, phase.task_index, phase.settings] for phase in plan.phases],
        "settings": [config.to_json(settings.experiment) for settings in plan.settings],
        "forgotten": [[one.task_index, one.next_model_id] for one in plan.forgotten],
    }


def _plan_of(data: Any) -> Plan:
    return Plan(
        tuple(codec.from_json(TaskInfo, task) for task in data["tasks"]),
        tuple(Phase(*numbers) for numbers in data["phases"]),
        tuple(PhaseSettings(codec.from_json(Experiment, one)) for one in data["settings"]),
        tuple(Forgotten(*numbers) for numbers in data["forgotten"]),
    )


class _Shapes:
    """The shapes of components, each once, by place."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._known: dict[tuple[ComponentName, int], list[tuple[Mapping[str, Leaf], int]]] = {}

    def place(self, record: ComponentRecord) -> int:
        """Where the shapes of a component stand; they are added if they are new."""
        alike = self._known.setdefault((record.name, record.num_params), [])
        for leaves, place in alike:
            if leaves == record.leaves:
                return place
        alike.append((record.leaves, len(self.rows)))
        self.rows.append([[path, leaf.dtype, *leaf.shape] for path, leaf in record.leaves.items()])
        return len(self.rows) - 1


class _Table:
    """JSON values, each once, by place."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Where the value stands; it is added if it is new."""
        key = json.dumps(value)  # tells 1 from 1.0 and True, which are equal
        if key not in self._places:
            self._places[key] = len(self.rows)
            self.rows.append(value)
        return self._places[key]


def _quality(quality: Quality | None) -> Any:
    if quality is None or quality.strata:
        return codec.to_json(quality)
    return [quality.correct, quality.counted]


def _quality_of(data: Any) -> Quality | None:
    return Quality(*data) if type(data) is list else codec.from_json(Quality, data) if data is not None else None
