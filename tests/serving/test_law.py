"""The files of a task's test split, given as paths, give the journal's test counts and confusions exactly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import munet
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
