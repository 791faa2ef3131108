"""Omniglot by alphabet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.data.tasks import Task, load_task
from munet.data.tfds import alphabets
from munet.errors import DataError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(data: Path, cache: Path, options: str, seed: int = 0) -> Task:
    uri = f"tfds:omniglot?{options}"
    return load_task(uri, data_dir=str(data), cache_dir=str(cache), max_image_size=28, seed=seed)


def test_ten_four_and_six_drawings_of_every_character(shared_tfds: Path, cache: Path) -> None:
    task = opened(shared_tfds, cache, "alphabet=Korean")
    assert (task.info.name, task.info.num_classes) == ("omniglot/Korean", 40)
    with task.testing():
        parts = [task.split(name) for name in ("train", "validation", "test")]
    for part, share in zip(parts, (10, 4, 6), strict=True):
        assert np.bincount(part.labels).tolist() == [share] * 40
    hashes = [image.tobytes() for part in parts for image in part.decoded]
    assert len(set(hashes)) == 800  # every drawing once
    assert task.notes == ()
    other = opened(shared_tfds, cache, "alphabet=Korean", seed=1)
    assert other.info.fingerprint != task.info.fingerprint
    assert (other.split("train").decoded != parts[0].decoded).any()


def test_the_published_selection_has_drawings_twice(shared_tfds: Path, cache: Path) -> None:
    task = opened(shared_tfds, cache, "alphabet=Korean&selection=published")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (800, 320, 480)
    assert "800 of 1600 drawings are there twice" in task.notes[0]
    with task.testing():
        trained = {image.tobytes() for image in task.split("train").decoded}
        tested = [image.tobytes() in trained for image in task.split("test").decoded]
    assert 0.4 < np.mean(tested) < 0.62  # 20/39 by chance


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("alphabet=Korea", "omniglot has no alphabet 'Korea'. Did you mean 'Korean'"),
        ("alphabet=Korean&selection=all", "there is no selection=all"),
        (
            "selection=published",
            "selection= goes with alphabet=NAME, e.g. tfds:omniglot\\?alphabet=Korean&selection=published",
        ),
        ("alphabet=Korean&split=clean", "an alphabet has no option 'split'"),
    ],
)
def test_what_is_not_there_is_named(shared_tfds: Path, cache: Path, options: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        opened(shared_tfds, cache, options)


def test_a_character_with_too_few_drawings_is_named(
    shared_tfds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = alphabets._drawings

    def damaged(*given: Any) -> dict[str, np.ndarray]:
        found = whole(*given)
        is_kept = np.arange(len(found["labels"])) != np.flatnonzero(found["labels"] == 1)[0]
        return {name: array[is_kept] for name, array in found.items()}

    monkeypatch.setattr(alphabets, "_drawings", damaged)
    with pytest.raises(DataError, match="character 2 of Korean has 19 drawings, expected 20 or more"):
        opened(shared_tfds, tmp_path, "alphabet=Korean")
