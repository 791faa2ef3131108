"""Which layers are stored in low rank, on what, and that what comes of it is a sound system."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from munet.compression.candidates import candidates
from munet.compression.compress import compress
from munet.errors import CorruptionError
from munet.evolution import judging
from munet.report.graph import graph
from munet.report.status import status_json
from munet.report.verify.verify import verify
from munet.store import FORMAT_VERSION
from munet.store.components import component_id
from munet.system import view
from munet.system.view import RunView
from munet.types import ModelId, Quality
from munet.vit.init import FlatArrays
from tests.compression.compressed_run import compressed, entry_of, measure_of, write, write_smooth_run
from tests.evolution.simulation import make_experiment, make_tasks
from tests.evolution.world import World
from tests.report.stored_run import arrays_of

TASKS = make_tasks(10, 10, 10)


@pytest.fixture
def system(tmp_path: Path) -> RunView:
    return write_smooth_run(tmp_path / "run")


@pytest.fixture
def world() -> World:
    return World(make_experiment(TASKS), TASKS)


def bases(world: World, *models: ModelId) -> dict[str, str]:
    chosen = {world.models[id].task or "": world.models[id] for id in models}
    return {item.id: item.base for item in candidates(world.state(), chosen)}


def descends(world: World, model: ModelId, name: str, parent: str) -> None:
    id = f"{name}@{model}"
    world.components[id] = replace(world.components[id], parent=parent)


def test_a_layer_stands_on_what_it_was_cloned_from(world: World) -> None:
    first = world.add("task0", own=["encoderblock_0"])
    second = world.add("task1", first, own=["encoderblock_0", "encoderblock_1"])
    descends(world, second, "encoderblock_0", f"encoderblock_0@{first}")
    # Compressed alone, on the first one's block, which stays; heads have nothing to stand on.
    assert bases(world, second) == {
        f"encoderblock_0@{second}": f"encoderblock_0@{first}", f"encoderblock_1@{second}": "encoderblock_1@0"
    }  # fmt: skip
    # Together, both on the root's: what may become low-rank itself is no base.
    assert bases(world, first, second) == {
        f"encoderblock_0@{first}": "encoderblock_0@0",
        f"encoderblock_0@{second}": "encoderblock_0@0",
        f"encoderblock_1@{second}": "encoderblock_1@0",
    }


def test_what_other_tasks_use_stays(world: World) -> None:
    first = world.add("task0", own=["encoderblock_0", "encoderblock_1"])
    second = world.add("task1", first, own=["encoderblock_1"])
    assert f"encoderblock_0@{first}" not in bases(world, first)
    assert f"encoderblock_0@{first}" in bases(world, first, second)


@pytest.mark.parametrize("spoilt", [(), ("task0",)])
def test_a_base_is_only_kept_where_it_saves_more_than_it_has(world: World, spoilt: tuple[str, ...]) -> None:
    """Two blocks on one of the root's that no task uses; where but one of them may become low-rank, neither does."""
    models = [world.add(task, own=["encoderblock_0"]) for task in ("task0", "task1")]
    state = world.state()
    chosen = {f"task{index}": state.models[model] for index, model in enumerate(models)}

    def load(id: str) -> dict[str, np.ndarray]:
        return arrays_of(replace(state.components[id], model=len(id) + int(id[-1])))

    def measure(task: str, components: Mapping[str, FlatArrays]) -> Quality:
        block, own = components["encoderblock_0"], load(chosen[task].components["encoderblock_0"])
        is_base = np.array_equal(block["LayerNorm_0/bias"], load("encoderblock_0@0")["LayerNorm_0/bias"])
        is_whole = all(np.array_equal(block[path], own[path]) for path in own)
        return Quality(9 if is_whole or not (is_base or task in spoilt) else 0, 10)

    found = compress(state, chosen, load, measure, tolerance=0)
    assert len(found.published) == (0 if spoilt else 2)
    assert all(record.base == "encoderblock_0@0" for record in found.published.values())
    assert found.after == found.before
    # The graph and the sum of all users' shares count the base, which no path shows.
    for task, components in found.components.items():
        world.models[chosen[task].id] = replace(chosen[task], components=components)
    world.components |= found.published
    after = world.state()
    drawn = graph.build(TASKS, {task: after.models[model.id] for task, model in chosen.items()}, after.components, str)
    assert drawn.num_params == judging.total_params(after) < judging.total_params(state) + bool(spoilt)


def test_no_task_loses_more_than_it_may(system: RunView) -> None:
    measure = measure_of(system)
    sizes = []
    for tolerance in (0, 5, 8, 100):
        found = compressed(system, tolerance)
        for task in system.models:
            assert found.before[task].value - found.after[task].value <= tolerance / 100 + 1e-12
            if task in found.components:
                load = found.whole(system.store.components.load)
                arrays = {name: load(id) for name, id in found.components[task].items()}
                assert measure(task, arrays) == found.after[task]
        after = system.controller.tell(system.state, entry_of(system, found))
        sizes.append(sum(after.components[id].num_params for id in after.num_users))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < system.total_params


def test_only_the_named_tasks_change(system: RunView) -> None:
    task = list(system.models)[-1]
    found = compress(
        system.state, {task: system.model(task)}, system.store.components.load, measure_of(system), tolerance=100
    )
    assert found.components.keys() <= {task}
    assert found.before.keys() == {task}


def test_the_new_directory_is_sound_and_says_what_it_is(system: RunView, tmp_path: Path) -> None:
    found = compressed(system)
    before = {file: file.read_bytes() for file in sorted((tmp_path / "run").rglob("*")) if file.is_file()}
    write(system, found, tmp_path / "small")
    report = verify(str(tmp_path / "small"))
    assert report.problems == []
    assert {file: file.read_bytes() for file in sorted((tmp_path / "run").rglob("*")) if file.is_file()} == before
    for file, data in before.items():
        if file.parent.name == "journal":
            assert (tmp_path / "small" / "journal" / file.name).read_bytes() == data
    new = view.open(str(tmp_path / "small"))
    assert new.is_complete
    assert new.store.components.ids() == set(new.state.components)
    assert new.total_params == report.total_params == graph.of_run(new).num_params < system.total_params
    for task in found.components:
        status = status_json(new)["tasks"][task]
        assert status["validation_counts"]["correct"] == found.after[task].correct
        assert status["classes"]["test"]["correct"] == list(range(new.task(task).num_classes))
        assert status["accounted_params"] == pytest.approx(new.accounted_params(task))
        loaded, load = new.load(task), found.whole(system.store.components.load)
        for name, id in found.components[task].items():
            for path, array in load(id).items():
                np.testing.assert_array_equal(loaded[name][path], array)
    for id in found.published:
        assert new.trained_last(id) == system.trained_last(found.published[id].parent or "")


def test_ids_are_hashes_of_record_and_bytes(system: RunView) -> None:
    found = compressed(system)
    for id, record in found.published.items():
        assert component_id(record, found.arrays[id]) == id


def test_a_flipped_byte_of_a_factor_is_found_by_verify(system: RunView, tmp_path: Path) -> None:
    found = compressed(system)
    write(system, found, tmp_path / "small")
    file = tmp_path / "small" / "components" / f"{min(found.published)}.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (problem,) = verify(str(tmp_path / "small")).problems
    assert problem.place == str(file)


def test_a_missing_base_is_found_by_verify(system: RunView, tmp_path: Path) -> None:
    found = compressed(system)
    write(system, found, tmp_path / "small")
    id = min(found.published)
    file = tmp_path / "small" / "components" / f"{found.published[id].base}.safetensors"
    file.unlink()
    problems = verify(str(tmp_path / "small")).problems
    assert [problem.place for problem in problems] == [str(file)]
    assert "is missing; needed by model" in problems[0].text


def test_it_is_of_the_format_that_all_entries_have(system: RunView, tmp_path: Path) -> None:
    write(system, compressed(system), tmp_path / "small")
    formats = [json.loads(file.read_bytes())["format"] for file in sorted((tmp_path / "small" / "journal").iterdir())]
    assert formats == [FORMAT_VERSION] * len(formats)


def test_lineages_go_on_through_compressed_models(system: RunView) -> None:
    found = compressed(system)
    entry = entry_of(system, found)
    after = system.controller.tell(system.state, entry)
    successor = {model.replaces: model.measured.retained for model in entry.models}
    for task in system.models:
        lineage = [model.id for model in after.lineage(after.retained[task])]
        assert lineage == [successor.get(id, id) for id in system.lineage(task)]
        assert after.models[after.retained[task]].hyperparameters == system.model(task).hyperparameters
    assert not after.models.keys() & successor.keys()


def test_an_entry_that_does_not_follow_is_refused(system: RunView) -> None:
    entry = entry_of(system, compressed(system))
    first = entry.models[0]
    wrong = [
        replace(entry, position=replace(entry.position, task_iteration=0)),
        replace(entry, models=(replace(first, replaces=0), *entry.models[1:])),
        replace(entry, models=(replace(first, measured=replace(first.measured, retained=1)), *entry.models[1:])),
    ]
    for bad in wrong:
        with pytest.raises(CorruptionError):
            system.controller.tell(system.state, bad)
