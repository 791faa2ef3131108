"""What a run starts from: the root's components, above all its position embedding where its size is not the default."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import munet
from munet.config import Config, Experiment, Runtime, SearchSpace
from munet.config.checks import validate
from munet.data.uris import from_folder
from munet.evolution.lookup import plan_component
from munet.evolution.records import new_record
from munet.evolution.state import State, initial_state
from munet.progress.events import Note
from munet.report.verify.verify import verify
from munet.run import runs
from munet.run.start import RootComponents, all_differences, notes_on_layout, start_entry
from munet.store import codec
from munet.store.components import ComponentStore, component_id
from munet.training.assemble import component_arrays
from munet.training.work import TaskWork
from munet.types import ChildPlan, ComponentPlan, Leaf, TaskInfo
from munet.vit import architecture
from munet.vit.architecture import POSITION
from munet.vit.augreg import load_augreg
from munet.vit.init import resize_position_embedding
from tests import tiny_run
from tests.evolution.simulation import make_tasks

LEAF = "pos_embedding"


def experiment(folder: Path, image_size: int) -> Experiment:
    tiny_run.write_root(folder / "root.npz", image_size)
    return Experiment(root=str(folder / "root.npz"), num_blocks=1)


def state_of(root: RootComponents, settings: Experiment) -> State:
    return initial_state(start_entry(settings, (), root, {}))


def leaves(image_size: int) -> dict[str, Leaf]:
    return architecture.component_leaves(
        tiny_run.VARIANT, POSITION, image_size=image_size, adapter_dim=0, num_classes=0
    )


def child(plan: ComponentPlan, image_size: int) -> ChildPlan:
    return ChildPlan(1, "a", 0, False, {"image_size": image_size, "adapter_dim": 8}, (plan,))


@pytest.fixture
def native(tmp_path: Path) -> tuple[Experiment, RootComponents, np.ndarray]:
    """A root made for 64 pixels where 32 is the default size, and its position embedding."""
    settings = experiment(tmp_path, 64)
    own = load_augreg(settings.root, tiny_run.VARIANT, 1)[POSITION][LEAF]
    assert own.shape == (1, 1 + 4 * 4, tiny_run.VARIANT.width)
    return settings, RootComponents(settings), own


def test_a_child_gets_the_checkpoints_embedding_resized_once(
    native: tuple[Experiment, RootComponents, np.ndarray], tmp_path: Path
) -> None:
    settings, root, own = native
    store = ComponentStore(str(tmp_path / "components"))
    root.put(store)
    once = resize_position_embedding(own, 64, 48, 16)
    twice = resize_position_embedding(resize_position_embedding(own, 64, 32, 16), 32, 48, 16)
    assert not np.array_equal(once, twice)
    plan = plan_component(state_of(root, settings), "a", 0, POSITION, leaves(48), inherit=True)
    assert plan.action == "resize"
    work = TaskWork.of(settings, make_tasks(2)[0])
    got = component_arrays(child(plan, 48), plan, work, lambda id: store.get(id)[1])
    np.testing.assert_array_equal(got[LEAF], once)


def test_the_root_models_own_embedding_is_what_any_task_would_make(
    native: tuple[Experiment, RootComponents, np.ndarray],
) -> None:
    settings, root, own = native
    state = state_of(root, settings)
    (source,) = set(root.published) - set(root.ids.values())
    assert (root.published[source].origin, root.published[source].leaves[LEAF].shape) == ("root", own.shape)
    plan = ComponentPlan(POSITION, "resize", source, trainable=False)
    record = new_record(state, child(plan, 32), plan, 0, leaves(32))
    resized = {LEAF: resize_position_embedding(own, 64, 32, 16)}
    assert component_id(record, resized) == root.ids[POSITION]
    assert not state.is_trainable(root.ids[POSITION], "a")
    assert not state.is_trainable(source, "a")


def test_a_root_of_the_default_size_has_one_embedding(tmp_path: Path) -> None:
    settings = experiment(tmp_path, 32)
    root = RootComponents(settings)
    arrays = load_augreg(settings.root, tiny_run.VARIANT, 1, 32)
    assert list(root.published) == [component_id(record, arrays[record.name]) for record in root.published.values()]
    assert list(root.published) == list(root.ids.values())
    assert {record.origin for record in root.published.values()} == {"root"}


@pytest.mark.slow
def test_a_run_keeps_the_checkpoints_embedding_to_its_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    tiny_run.write_data(data)
    tiny_run.write_root(data / "root.npz", 64)
    config = tiny_run.config(data)
    config.experiment = replace(
        config.experiment,
        search_space=SearchSpace(image_size=(16, 32, 48)),
        mutation_probability=0.6,
        num_generations=2,
    )
    runs.evolve(validate(config), str(tmp_path / "run"), lambda _: None)
    assert not verify(str(tmp_path / "run")).problems
    system = munet.open(str(tmp_path / "run"))
    source = system.state.components[system.root.components[POSITION]].parent
    assert source is not None
    assert source not in system.components  # not counted
    record, arrays = system.store.components.get(source)
    assert math.isqrt(arrays[LEAF].shape[1] - 1) == 4
    assert record == system.state.components[source]
    (tmp_path / "run" / "components" / f"{source}.safetensors").unlink()
    assert any("needed by model 0" in problem.text for problem in verify(str(tmp_path / "run")).problems)


def test_a_journal_with_less_about_the_layout_is_no_other_layout(tmp_path: Path) -> None:
    settings = experiment(tmp_path, 32)
    root = RootComponents(settings)
    layout = {"platform": "cpu", "num_devices": 1, "num_cpus": 2, "xla_flags": ""}
    found, now = (start_entry(settings, (), root, values) for values in ({"platform": "cpu", "num_devices": 1}, layout))
    assert notes_on_layout(found, now) == []
    (note,) = notes_on_layout(now, replace(now, layout={**layout, "num_cpus": 8}))
    assert "num_cpus: 2 -> 8" in note


def test_the_folder_is_recorded_where_paths_go_from_it_and_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_run.write_data(tmp_path)
    settings = experiment(tmp_path, 32)
    monkeypatch.chdir(tmp_path)
    root = RootComponents(settings)
    entries = {
        uri: start_entry(settings, [TaskInfo("left", uri, "0", ("a", "b"), 8, 8, 8)], root, {})
        for uri in ("npz:left.npz", f"npz:{tmp_path}/left.npz", "npz:~/left.npz", "hf:left", "hf:./left?config=x")
    }
    assert [entry.folder for entry in entries.values()] == [str(tmp_path), "", "", "", str(tmp_path)]
    assert "folder" not in codec.to_json(entries["hf:left"])
    assert all_differences(entries["npz:left.npz"], replace(entries["npz:left.npz"], folder="/elsewhere")) == []


def test_a_relative_path_is_taken_from_the_folder_only_where_it_is_there_and_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/both", "there/both", "there/birds"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    there = str(tmp_path / "there")
    assert from_folder("folder:birds", there) == f"folder:{there}/birds"
    assert from_folder("hf:./birds?config=birds", there) == f"hf:{there}/birds?config=birds"
    for uri in ("folder:both", "folder:none", "builtin:digits", f"folder:{there}/birds"):
        assert from_folder(uri, there) == uri
    assert from_folder("folder:birds", "") == "folder:birds"


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ((), []),
        (("full",), ["The run is compared with 1 baseline, trained after it: full fine-tuning."]),
        (
            ("tuned", "multi_head"),
            ["The run is compared with 2 baselines, trained after it: tuned fine-tuning, multi-head."],
        ),
    ],
)
def test_baselines_are_said_before_the_run_that_they_follow(
    compare: tuple[str, ...], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(runs, "start_or_go_on", lambda _, place, *rest: told.append(place))
    runtime = Runtime(compare=compare)  # type: ignore[arg-type]
    runs.evolve(Config(Experiment(tasks=("builtin:digits",)), runtime), "run", told.append)
    assert [event.text if isinstance(event, Note) else event for event in told[: len(said) + 1]] == [*said, "run"]
