"""`munet verify` of a MUiR training: sound as it is written, and every kind of damage is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from munet.joint.run import train
from munet.report.verify.verify import verify
from tests.methods.muir.small import config, mixed


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("muir")
    train(config(folder, generations=2, final_generations=0), str(folder / "run"), lambda _: None)
    return folder / "run"


def test_what_is_written_is_sound(written: Path) -> None:
    report = verify(str(written))
    assert report.is_sound, str(report)
    assert report.num_models == 6
    assert "is sound" in str(report)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("replica_0.safetensors", "contexts", "do not make the weights"),
        ("replica_0.safetensors", "blocks", "do not make the weights"),
        ("replica_0.safetensors", "alignment", "shares other modules"),
        ("replica_0_weights.safetensors", "small/0/weights/kernel", "do not make the weights"),
    ],
)
def test_changed_arrays_are_found(written: Path, tmp_path: Path, name: str, array: str, said: str) -> None:
    shutil.copytree(written, tmp_path / "run")
    arrays = load_file(tmp_path / "run" / name)
    if array == "alignment":
        arrays[array] = np.roll(arrays[array], 1)
    else:
        arrays[array] = arrays[array] + np.float32(0.5)
    save_file(arrays, tmp_path / "run" / name)
    assert said in str(verify(str(tmp_path / "run")))


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    train(mixed(folder, generations=1, final_generations=0), str(folder / "run"), lambda _: None)
    return folder / "run"


def _changed_weights(run: Path, copy: Path, change: str) -> None:
    """Copies a training, and changes its plain weights so that each number stays one that some module makes."""
    shutil.copytree(run, copy)
    path = copy / "replica_0_weights.safetensors"
    arrays = load_file(path)
    one, other = "small/lstm_0/hidden", "small/lstm_1/hidden"
    if change == "swapped":
        arrays[one], arrays[other] = arrays[other], arrays[one]
    elif change == "permuted":
        arrays[one] = np.ascontiguousarray(arrays[one][:, :, ::-1])
    elif change == "constant":
        arrays[one] = np.full_like(arrays[one], arrays[one].flat[0])
    elif change == "zeroed":  # what hangs over the edges of a leaf may make zeros
        arrays[one] = np.zeros_like(arrays[one])
    elif change == "gone":
        del arrays[one]
    save_file(arrays, path)


@pytest.mark.parametrize("change", ["swapped", "permuted", "constant", "zeroed", "gone"])
def test_weights_are_compared_place_by_place(mixed_run: Path, tmp_path: Path, change: str) -> None:
    _changed_weights(mixed_run, tmp_path / "same", "")
    assert verify(str(tmp_path / "same")).is_sound
    _changed_weights(mixed_run, tmp_path / "run", change)
    assert "do not make the weights" in (said := str(verify(str(tmp_path / "run"))))
    assert "small/lstm_0/hidden" in said


def test_results_of_older_versions_are_compared_as_far_as_they_say(written: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(written, run)
    result = json.loads((run / "result.json").read_text())
    del result["leaves"]
    (run / "result.json").write_text(json.dumps(result))
    report = verify(str(run))
    assert report.is_sound
    assert "only their sorted numbers" in report.notes[0]
    arrays = load_file(run / "replica_0_weights.safetensors")
    arrays["small/0/weights/kernel"] = arrays["small/1/weights/kernel"]
    save_file(arrays, run / "replica_0_weights.safetensors")
    assert "the numbers differ" in str(verify(str(run)))
    (run / "replica_0_weights.safetensors").unlink()
    del result["replicas"][0]["weights"]
    (run / "result.json").write_text(json.dumps(result))
    assert verify(str(run)).is_sound


def test_missing_damaged_and_not_finite_files_are_found(written: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(written, run)
    (run / "replica_0.safetensors").write_bytes(b"nothing")
    (run / "replica_0_weights.safetensors").unlink()
    with (run / "curve.jsonl").open("a") as lines:
        lines.write("{")
    result = json.loads((run / "result.json").read_text())
    result["replicas"][0]["sizes"]["folded"] += 1
    (run / "result.json").write_text(json.dumps(result))
    text = str(verify(str(run)))
    assert "4 problems" in text
    assert "It is missing." in text
    assert "cannot be read" in text
    assert "sizes of seed 0 are not those of its mapping" in text


def test_an_unfinished_training_is_sound_as_far_as_it_goes(written: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(written, run)
    (run / "result.json").unlink()
    report = verify(str(run))
    assert report.is_sound
    assert "not complete; measured last after 12 rounds" in str(report)
