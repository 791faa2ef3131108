"""What timm opens: the bytes that it was asked about, the answers that it gave, and timm itself where it is."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import munet
from munet import roots
from munet.config import Baseline
from munet.errors import CheckpointError
from munet.export import numpy_vit, safetensors_timm
from munet.export.check import by_timm, own_logits
from munet.export.export import CARD
from munet.export.safetensors_timm import CONFIG, MODULE
from munet.types import TaskInfo
from munet.vit.architecture import HEAD
from munet.vit.safetensors_file import open_tensors
from tests.export.judged import ADAPTERS, GOLDEN, digest, model
from tests.report.stored_run import write_run
from tests.vit.make_timm_golden import images

CHANGES: dict[str, dict[str, Any]] = {
    "adapters": {},
    "plain": {"insert_adapters": False},
    "lora": {"baseline": Baseline("lora")},
}


def golden(name: str) -> Any:
    with np.load(GOLDEN) as arrays:
        return arrays[name]


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_export_has_the_bytes_that_timm_has_judged(name: str, tmp_path: Path) -> None:
    safetensors_timm.write(model(name), tmp_path)
    assert digest(tmp_path) == str(golden(f"{name}_files")), (
        "exports have changed: where torch and timm are, run python -m tests.export.make_golden"
    )


@pytest.mark.parametrize("name", ADAPTERS)
def test_timm_says_what_munet_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = model(name)
    monkeypatch.setattr("munet.export.check._prepared", lambda model, images: images)
    ours = own_logits(judged, images())
    assert ours.std() > 0.1  # of logits that are all alike nothing would follow
    np.testing.assert_allclose(ours, golden(f"{name}_logits"), atol=1e-4)


@pytest.mark.parametrize("name", ADAPTERS)
def test_so_does_a_reader_in_numpy(name: str, tmp_path: Path) -> None:
    safetensors_timm.write(model(name), tmp_path)
    with open_tensors(tmp_path / "model.safetensors") as file:
        tensors = {key: file.read(key) for key in file.tensors}
    arguments = json.loads((tmp_path / CONFIG).read_text())["model_args"]
    np.testing.assert_allclose(numpy_vit.logits(tensors, arguments, images()), golden(f"{name}_logits"), atol=1e-4)


def test_a_plain_export_is_a_root_again(tmp_path: Path) -> None:
    plain = model("plain")
    safetensors_timm.write(plain, tmp_path)
    found = roots.find(tmp_path)
    assert (found.variant, found.facts.num_classes, found.facts.notes) == (plain.variant, 4, ())
    loaded = found.load(found.num_blocks)
    assert list(loaded) == [name for name in plain.components if name != HEAD]
    for name, arrays in loaded.items():
        for path, array in arrays.items():
            np.testing.assert_array_equal(array, plain.components[name][path], err_msg=f"{name}/{path}")


def test_one_with_adapters_is_refused_as_root_by_their_name(tmp_path: Path) -> None:
    safetensors_timm.write(model("adapters"), tmp_path)
    with pytest.raises(CheckpointError, match="residual adapters"):
        roots.find(tmp_path)


def test_the_module_is_short_and_names_what_the_config_asks_for() -> None:
    source = (resources.files("munet") / "assets" / MODULE).read_text()
    assert len(source.splitlines()) <= 70
    assert f"def {safetensors_timm.ARCHITECTURE}(" in source
    compile(source, MODULE, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_timm_itself(name: str, tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="needs torch and timm")
    safetensors_timm.write(model(name), tmp_path)
    np.testing.assert_allclose(by_timm(tmp_path, images()), golden(f"{name}_logits"), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adapters", "plain", "lora"])
def test_the_example_of_the_card_answers_as_the_system_does(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="needs torch and timm")
    shape = (24, 30, 1) if kind == "plain" else ()
    tasks = tuple(
        TaskInfo(f"task{n}", f"folder:{n}", f"{n}", tuple("abcde"), 9, 9, 9, image_shape=shape) for n in (0, 1)
    )
    write_run(tmp_path / "run", tasks=tasks, **CHANGES[kind])
    system = munet.open(str(tmp_path / "run"))
    folder = system.export("task1", tmp_path / "out")
    assert (folder / MODULE).is_file() == (kind == "adapters")
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "image.png")
    name, share = run_example(folder)
    expected = system.predict("task1", [picture])
    assert name == expected.names[0]
    assert float(share) == pytest.approx(expected.confidences[0], abs=1e-4)


@pytest.mark.slow
def test_timm_loads_the_npz(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="needs torch and timm")
    import torch

    from munet.export import npz

    npz.write(model("plain"), tmp_path)
    arguments = safetensors_timm.config(model("plain"))["model_args"]
    opened = timm.create_model("vit_tiny_patch16_224", num_classes=4, **arguments)
    opened.load_pretrained(str(tmp_path / npz.WEIGHTS))
    with torch.no_grad():
        answer = opened.eval()(torch.from_numpy(images().transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(answer, golden("plain_logits"), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_the_command_for_onnx(name: str, tmp_path: Path) -> None:
    """As docs/howto/export.md gives it."""
    for package in ("timm", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}")
    onnxruntime = importlib.import_module("onnxruntime")

    safetensors_timm.write(model(name), tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "howto" / "export.md").read_text()
    (block,) = re.findall(r"```python\n(.*?onnx.*?)```", page, re.DOTALL)
    if name == "plain":
        block = block.replace("import modeling_munet\n", "")
    run = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (answer,) = session.run(None, {session.get_inputs()[0].name: images().transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(answer, golden(f"{name}_logits"), atol=1e-4)


def run_example(folder: Path) -> list[str]:
    """What the card's example prints, in a process of its own inside the folder."""
    (example,) = re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
    run = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, timeout=300)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    assert run.returncode == 0, run.stderr
    assert not run.stderr.strip(), run.stderr
    return run.stdout.rsplit(maxsplit=1)
