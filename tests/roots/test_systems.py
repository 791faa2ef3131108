"""A model of an earlier run as root."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet import roots
from munet.config import Baseline, Experiment, SearchSpace
from munet.config.checks import validate
from munet.config.evolve import Defaults
from munet.errors import CheckpointError, CorruptionError, WorkdirError
from munet.evolution import children
from munet.evolution.state import initial_state
from munet.report.verify.verify import verify
from munet.roots import listing
from munet.run import runs
from munet.run.start import RootComponents, start_entry
from munet.types import GenerationEntry
from munet.vit.architecture import HEAD, get_variant, is_adapter
from tests import tiny_run
from tests.evolution.simulation import make_tasks
from tests.report.stored_run import write_run


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", insert_adapters=False)
    return tmp_path / "run"


def test_a_tasks_model_without_its_head(workdir: Path) -> None:
    found = roots.find(f"munet:{workdir}?task=task1")
    opened = munet.open(str(workdir))
    own = opened.load("task1")
    loaded = found.load(found.num_blocks)
    assert list(loaded) == [name for name in own if name != HEAD]
    for name, arrays in loaded.items():
        for path, array in arrays.items():
            np.testing.assert_array_equal(array, own[name][path])
    assert found.variant is get_variant(opened.experiment.variant)
    assert found.name == "run?task=task1"
    assert found.facts.num_params == sum(array.size for arrays in loaded.values() for array in arrays.values())
    assert found.facts.image_size == opened.model("task1").hyperparameters["image_size"]


def test_it_begins_a_run(workdir: Path) -> None:
    found = roots.find(f"munet:{workdir}?task=task0")
    settings = Experiment(root=f"munet:{workdir}?task=task0", variant=found.variant.name, num_blocks=found.num_blocks)
    root = RootComponents(settings)
    assert root.checkpoint == {"name": "run?task=task0", "sha256": found.sha256, "variant": found.variant.name}
    assert all(record.origin in ("root", "root-resized") for record in root.published.values())


def test_its_identity_is_that_of_its_components_wherever_it_lies(workdir: Path, tmp_path: Path) -> None:
    shutil.copytree(workdir, tmp_path / "moved")
    first, second = (roots.find(f"munet:{place}?task=task0").sha256 for place in (workdir, tmp_path / "moved"))
    assert first == second


def test_models_that_differ_only_in_their_heads_are_the_same_root(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7), insert_adapters=False)
    trunks = {}
    for task, model in munet.open(str(tmp_path)).models.items():
        trunk = [id for name, id in model.components.items() if name != HEAD]
        trunks[task] = (trunk, roots.find(f"munet:{tmp_path}?task={task}").sha256)
    pairs = [(a, b) for a in trunks.values() for b in trunks.values()]
    assert all((a[0] == b[0]) == (a[1] == b[1]) for a, b in pairs)
    assert len({digest for _, digest in trunks.values()}) > 1


def test_what_is_wrong_is_said(workdir: Path, tmp_path: Path) -> None:
    for reference, expected in [
        (f"munet:{workdir}", f"say which task's model, one of munet:{workdir}?task=task0, munet:{workdir}?task=task1"),
        (f"munet:{workdir}?tsk=task0", "say which task's model"),
        (f"munet:{workdir}?trunk", "only a joint training (`munet train`) has one trunk. Of an evolved run give"),
        (f"munet:{workdir}?task=tsk0", "Did you mean 'task0'"),
        (str(workdir), f"is a run of munet: to begin with one of its models give munet:{workdir}?task=TASK"),
    ]:
        with pytest.raises(CheckpointError) as caught:
            roots.find(reference)
        assert expected in str(caught.value)
    with pytest.raises(WorkdirError, match="There is no run in"):
        roots.find(f"munet:{tmp_path / 'nothing'}?task=a")
    found = roots.find(f"munet:{workdir}?task=task0")
    with pytest.raises(CheckpointError, match=rf"has {found.num_blocks} blocks: use num_blocks={found.num_blocks}"):
        found.load(found.num_blocks + 1)
    for file in (workdir / "components").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CorruptionError):
        found.load(found.num_blocks)


@pytest.fixture
def adapted(tmp_path: Path) -> str:
    """A model with an adapter before one of its blocks, as a reference."""
    write_run(tmp_path / "adapted", num_classes=(3, 5, 7))
    opened = munet.open(str(tmp_path / "adapted"))
    task = next(name for name, model in opened.models.items() if any(map(is_adapter, model.components)))
    return f"munet:{tmp_path / 'adapted'}?task={task}"


def settings_for(reference: str, **changes: Any) -> Experiment:
    """Those that the root asks for."""
    facts = roots.find(reference).facts
    return Experiment(
        root=reference,
        variant=facts.variant.name,
        num_blocks=facts.num_blocks,
        defaults=Defaults(adapter_dim=facts.adapter_dim),
        search_space=SearchSpace(adapter_dim=(facts.adapter_dim,)),
        **changes,
    )


def test_adapters_are_part_of_the_root(adapted: str, capsys: pytest.CaptureFixture[str]) -> None:
    workdir, task = adapted.removeprefix("munet:").split("?task=")
    opened, found = munet.open(workdir), roots.find(adapted)
    own, loaded = opened.load(task), found.load(found.num_blocks)
    assert list(loaded) == [name for name in own if name != HEAD]
    assert any(map(is_adapter, loaded))
    for name, arrays in loaded.items():
        for path, array in arrays.items():
            np.testing.assert_array_equal(array, own[name][path])
    assert found.facts.num_params == sum(array.size for arrays in loaded.values() for array in arrays.values())
    assert any("residual adapters of width" in note for note in found.facts.notes)
    listing.describe_one(adapted, as_json=False, cache_dir="")
    assert f"--config.search_space.adapter_dim={found.facts.adapter_dim}" in capsys.readouterr().out


def test_its_features_are_those_of_the_model(adapted: str) -> None:
    workdir, task = adapted.removeprefix("munet:").split("?task=")
    opened, root = munet.open(workdir), munet.load_root(adapted)
    head = opened.load(task)[HEAD]
    pictures = np.random.default_rng(0).integers(0, 256, (4, root.image_size, root.image_size, 3), dtype=np.uint8)
    logits = root.features(pictures.astype(np.float32) / 127.5 - 1) @ head["kernel"] + head["bias"]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, opened.predict(task, pictures).probabilities, atol=1e-5)


def test_a_root_of_fewer_blocks_has_the_adapters_of_those(adapted: str) -> None:
    found = roots.find(adapted)
    (last, *_) = sorted(found.facts.adapters, reverse=True)
    assert f"residual_adapter_{last}" not in found.load(max(last, 1)) or last == 0
    assert all(f"residual_adapter_{index}" in found.load(last + 1) for index in found.facts.adapters)


def test_other_widths_are_refused_with_what_to_set(adapted: str) -> None:
    settings = settings_for(adapted, baseline=Baseline("adapters", adapter_dim=7))
    width = settings.defaults.adapter_dim
    settings.defaults.adapter_dim += 1
    settings.search_space.adapter_dim = (width, 2 * width)
    with pytest.raises(CheckpointError) as caught:
        RootComponents(settings)
    assert str(caught.value).endswith(
        f"Set --config.defaults.adapter_dim={width} --config.search_space.adapter_dim={width} "
        f"--config.baseline.adapter_dim={width}."
    )


@pytest.mark.parametrize("kind", ["full", "top_layers", "multi_head", "adapters", "lora"])
def test_baselines_keep_the_roots_adapters(kind: Any, adapted: str) -> None:
    width = roots.find(adapted).facts.adapter_dim
    settings = settings_for(adapted, baseline=Baseline(kind, adapter_dim=width))
    root, tasks = RootComponents(settings), make_tasks(3)
    state = initial_state(start_entry(settings, tasks, root, {}))
    child = children.baseline_child(state, settings, tasks[0], 1)
    plans = {plan.name: plan for plan in child.components}
    for name in filter(is_adapter, root.ids):
        trains = kind in ("full", "top_layers", "adapters")
        assert (plans[name].action, plans[name].source) == ("clone" if trains else "share", root.ids[name])
        assert not any(mutation.kind == "insert" and mutation.target == name for mutation in child.mutations)


def test_a_run_begins_with_it(adapted: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    tiny_run.write_data(data)
    settings, given = tiny_run.config(data), settings_for(adapted)
    experiment = settings.experiment
    experiment.root, experiment.num_blocks, experiment.defaults = given.root, given.num_blocks, given.defaults
    experiment.search_space = SearchSpace(adapter_dim=given.search_space.adapter_dim, image_size=(32,))
    experiment.num_task_iterations, experiment.num_generations, experiment.mutation_probability = 1, 1, 0.5
    runs.evolve(validate(settings), str(tmp_path / "run"), lambda _: None)
    opened = munet.open(str(tmp_path / "run"))
    kept = {name: id for name, id in opened.root.components.items() if is_adapter(name)}
    assert kept
    plans = [
        plan
        for entry in opened.store.journal.entries()
        if isinstance(entry, GenerationEntry)
        for child in entry.children
        for plan in child.plan.components
        if plan.name in kept
    ]
    assert plans
    assert {plan.action for plan in plans} <= {"share", "clone"}  # nobody begins one anew
    assert opened.store.components.record(next(iter(kept.values()))).origin == "root"
    assert verify(str(tmp_path / "run")).is_sound
    assert all(any(map(is_adapter, model.components)) for model in opened.models.values())


def test_low_rank_updates_are_folded_in(tmp_path: Path) -> None:
    write_run(tmp_path, baseline=Baseline("lora"))
    opened = munet.open(str(tmp_path))
    with_lora = {
        task: name for task, model in opened.models.items() for name in model.components if name.startswith("lora_")
    }
    assert with_lora
    for task, lora in with_lora.items():
        found = roots.find(f"munet:{tmp_path}?task={task}")
        loaded, own = found.load(found.num_blocks), opened.load(task)
        assert lora not in loaded
        block, path = lora.replace("lora", "encoderblock"), "MultiHeadDotProductAttention_1/query/kernel"
        update = np.tensordot(own[lora]["query/A"], own[lora]["query/B"], axes=1)
        np.testing.assert_allclose(loaded[block][path], own[block][path] + update, atol=1e-5)
