"""Every field of what a state holds is in its JSON, also one that is added later."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields

from munet.evolution.state import State
from munet.quality import Stratum
from munet.system import state_file
from munet.types import ComponentRecord, Hyperparameters, Leaf, ModelRecord, Position, Quality


def test_no_field_is_forgotten() -> None:
    """Where this fails because a class has a new field: give it here, and to `state_file`."""
    leaves = {"w": Leaf((2, 3), "bfloat16"), "v": Leaf(())}
    record = ComponentRecord("head", leaves, "clone", parent="gone", model=3, cycles={"b": 2, "a": 1}, base="y")
    clone = ComponentRecord("head", dict(leaves), "clone", parent="x", model=4, cycles={"a": 1})
    quality = Quality(3, 4, (Stratum(2, 2, 3),))
    settings: Hyperparameters = {"one": 1, "float": 1.0, "yes": True, "name": "cosine"}
    model = ModelRecord(3, "a", 0, settings, {"head": "x"}, quality, 5, Quality(1, 2), 0.1)
    for value in (record, model, quality, leaves["w"]):
        for field in fields(value):
            assert getattr(value, field.name) != field.default, field.name
            if field.default_factory is not MISSING:
                assert getattr(value, field.name) != field.default_factory(), field.name
    state = State.of(
        position=Position(1, 2, 3),
        models={0: ModelRecord(0, None, None, {"one": True}, {}), 3: model, 4: ModelRecord(4, "a", 3, settings, {})},
        components={"x": record, "y": clone},
        retained={"a": 3},
        active=(4,),
        seeds=(3, 0),
        next_model_id=9,
    )
    data = json.loads(json.dumps(state_file.to_json(state)))
    again = state_file.from_json(data)
    assert again == state
    assert [repr(value) for value in again.models.values()] == [repr(value) for value in state.models.values()]
    assert list(again.components["x"].cycles) == ["b", "a"]
    assert len(data["shapes"]) == 1
    assert again.components["x"].leaves is again.components["y"].leaves
