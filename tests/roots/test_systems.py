"""A model of an earlier run as root."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import munet
from munet import roots
from munet.config import Baseline, Experiment
from munet.errors import CheckpointError, CorruptionError, WorkdirError
from munet.roots import systems
from munet.run.start import RootComponents
from munet.vit.architecture import HEAD, get_variant
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


def test_models_with_adapters_are_refused_and_those_without_are_offered(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7))
    opened = munet.open(str(tmp_path))
    has = {task: any("adapter" in name for name in model.components) for task, model in opened.models.items()}
    assert True in has.values()
    for task, is_refused in has.items():
        if is_refused:
            with pytest.raises(CheckpointError, match="that model has residual_adapter_") as caught:
                roots.find(f"munet:{tmp_path}?task={task}")
            for other in (other for other, refused in has.items() if not refused):
                assert f"?task={other}" in str(caught.value)


def test_a_run_of_adapters_only_says_what_makes_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path)
    monkeypatch.setattr(systems, "_adapters", lambda opened, task: ["residual_adapter_0"])
    for reference in (f"munet:{tmp_path}", f"munet:{tmp_path}?task=task0"):
        with pytest.raises(CheckpointError, match=r"No model of this run is without .*insert_adapters=false"):
            roots.find(reference)


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
