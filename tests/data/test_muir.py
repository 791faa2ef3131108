"""`muir:` tasks: what files are taken, which examples validate, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.data.open_settings import OpenSettings
from munet.data.tasks import load_tasks, open_task
from munet.errors import DataError

VALUES = OpenSettings(objectives=("value",))


def write(path: Path, tasks: int = 3, count: int = 15, **changes: Any) -> str:
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "train_X": generator.normal(size=(tasks, count, 4)),
        "train_Y": generator.normal(size=(tasks, count)),
        "noisy_train_Y": generator.normal(size=(tasks, count)),
        "test_X": generator.normal(size=(tasks, 6, 4)),
        "test_Y": generator.normal(size=(tasks, 6)),
        "noisy_test_Y": generator.normal(size=(tasks, 6)),
    }
    np.savez(path, **{**arrays, **changes})
    return f"muir:{path}"


def test_the_authors_examples_validate(tmp_path: Path) -> None:
    uri = write(tmp_path / "set.npz")
    task = open_task(f"{uri}?task=2", VALUES)
    assert (task.info.name, task.info.objective, task.info.num_classes) == ("set/2", "value", 0)
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (10, 5, 6)
    with np.load(tmp_path / "set.npz") as data:
        expected = np.random.RandomState(301).choice(15, 5, replace=False)
        np.testing.assert_array_equal(task.split("validation").labels, data["train_Y"][2][expected].astype(np.float32))
        assert task.split("train").images.shape == (10, 4)
    noisy = open_task(f"{uri}?task=2&noisy=true", VALUES)
    assert noisy.info.name == "set/2/noisy"
    assert noisy.info.fingerprint != task.info.fingerprint


def test_another_number_of_examples(tmp_path: Path) -> None:
    task = open_task(write(tmp_path / "set.npz", count=9) + "?task=0", VALUES)
    assert (task.info.num_train, task.info.num_validation) == (6, 3)


def test_who_needs_classes_refuses_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no classes, but a value for each example. `munet train --config=muir"):
        open_task(write(tmp_path / "set.npz") + "?task=0", OpenSettings())


def test_what_cannot_be_used_is_named_all_together(tmp_path: Path) -> None:
    uri = write(tmp_path / "set.npz")
    bad = np.zeros((3, 15))
    bad[1, 4] = np.nan
    uris = {
        f"muir:{tmp_path}/sett.npz?task=0": r"there is no file .*set\.npz",
        f"{uri}?task=3": "task=3: expected 0 to 2",
        uri: "no task is named: expected 0 to 2",
        f"{uri}?task=1&noisy=yes": "expected true or false",
        f"{uri}?task=1&nosy=true": "no option 'nosy'.*noisy",
        write(tmp_path / "nan.npz", train_Y=bad) + "?task=1": "train_Y of task 1 has values that are not finite",
        write(tmp_path / "shape.npz", train_Y=np.zeros((3, 14))) + "?task=1": "numbers of tasks and of examples",
        write(tmp_path / "flat.npz", train_X=np.zeros((3, 15))) + "?task=1": r"expected \(tasks, examples, inputs\)",
        write(tmp_path / "text.npz", test_Y=np.full((3, 6), "a")) + "?task=1": "expected numbers",
    }
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    uris[f"muir:{tmp_path}/other.npz?task=0"] = "has no array 'train_X'"
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    uris[f"muir:{tmp_path}/broken.npz?task=0"] = "cannot be read as npz"
    for one, message in uris.items():
        with pytest.raises(DataError, match=message):
            open_task(one, VALUES)
    with pytest.raises(DataError, match=f"{len(uris)} of {len(uris)} tasks|{len(uris)} of"):
        load_tasks(list(uris), VALUES)
