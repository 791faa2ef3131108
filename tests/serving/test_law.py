"""The files of a task's test split, given as paths, give the journal's test counts and confusions exactly."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import munet
from munet.data import images as pixels
from munet.data.conversion import decode_unturned
from munet.data.splits import SPLITS
from munet.data.tasks import load_task
from munet.serving.inputs import Inputs
from munet.training.measure.evaluation import count


def labelled(system: munet.System, folder: Path) -> tuple[list[Path], np.ndarray]:
    names = list(system.task("photos").class_names)
    files = sorted(folder.glob("*/*"))
    return files, np.array([names.index(file.parent.name) for file in files])


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_files_of_the_test_split_give_the_counts_of_the_journal(kind: str, folder_run: Path) -> None:
    system = munet.open(str(folder_run))
    files, labels = labelled(system, folder_run.parent / "photos" / "test")
    given = files if kind == "path" else [file.read_bytes() for file in files]
    predicted = system.predict("photos", given).indices
    measured = count(predicted, labels, num_classes=3, metric="accuracy")
    recorded = system.last_phase("photos")
    assert measured.correct_per_class == recorded.test_correct_per_class
    assert measured.counted_per_class == recorded.test_counted_per_class
    assert measured.confusions == recorded.test_confusions
    assert len(Counter(file.suffix for file in files)) >= 4


def test_pixels_are_those_of_the_run(folder_run: Path) -> None:
    """Predictions of so small a model may agree by chance."""
    from munet.system.data import open_again

    system = munet.open(str(folder_run))
    data = open_again(system, "photos", cache_dir="off")
    files, labels = labelled(system, folder_run.parent / "photos" / "test")
    with data.testing():
        split = data.split("test")
    found = system.predictor("photos").inputs.read_all(files)
    as_rows = sorted((int(label), image.tobytes()) for label, image in zip(labels, found, strict=True))
    expected = [(int(label), image.tobytes()) for label, image in zip(split.labels, split.decoded, strict=True)]
    assert as_rows == sorted(expected)
    assert system.task("photos").image_shape == (64, 64, 3) == data.image_shape


def photos_of_many_sizes(count: int) -> list[bytes]:
    """Larger and smaller than the canvas of 128 pixels; some turned."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        height, width = random.integers(40, 400, 2)
        noise = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)).resize((width, height))
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        file = io.BytesIO()
        noise.convert(("RGB", "L")[number % 2]).save(file, ("JPEG", "PNG", "TIFF")[number % 3], exif=exif)
        found.append(file.getvalue())
    return found


@pytest.mark.parametrize("is_mixed", [True, False])
def test_files_of_a_hugging_face_set(is_mixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    files = photos_of_many_sizes(24)
    if not is_mixed:
        files = [file for file in files if max(Image.open(io.BytesIO(file)).size) > 128][:1] * 6
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    cells = {"image": [{"bytes": file, "path": None} for file in files], "label": [n % 2 for n in range(len(files))]}
    splits = dict.fromkeys(SPLITS, datasets.Dataset.from_dict(cells, features=features))
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "set")
    task = load_task(f"hf:{tmp_path / 'set'}", cache_dir="off", seed=0)
    inputs = Inputs("hf", task.image_shape, 128)
    found = sorted(image.tobytes() for image in inputs.read_all(files))
    assert found == sorted(image.tobytes() for image in task.split("train").decoded)


def test_files_of_a_prepared_set() -> None:
    inputs = Inputs("tfds", (72, 72, 3), 128)
    for file in photos_of_many_sizes(12)[::8]:  # upright ones: such sets know no orientation
        expected = pixels.squash(decode_unturned(file), 72)
        np.testing.assert_array_equal(inputs.read(file), np.broadcast_to(expected, (72, 72, 3)))
