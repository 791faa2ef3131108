"""No image of a TFDS set is in two splits, whatever the notation; missing splits are cut out of train."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.data.splits import SPLITS
from munet.data.tasks import Task
from munet.errors import DataError
from tests.data.tfds.test_tfds import _examples, _load, _prepare, _splits

# Of 200 images in train (and 40 in test, where there is a test split).
DISJOINT = (
    "test=train[90%:]", "test=train[180:]", "test=train[-20:]", "validation=train[:30]", "validation=train[50%:75%]",
    "train=train", "train=train[10%:]&validation=train[:20]", "train=train[:100]&test=train[50%:]",
    "validation=train[:10%]+train[90%:]", "train=train[:10%]+train[150:]", "test=train[:5%]", "test=train[:50%]",
    "train=train[20:]&validation=train[:5%]", "test=train[10:20]+train[30:40]",
)  # fmt: skip
OVERLAPPING = (
    "train=train&validation=train[:5%]", "train=train[5%:]&test=train[90%:]", "train=train[:101]&test=train[50%:]",
    "validation=train[:10%]&test=train[19:30]", "train=train[-30:]&test=train[85%:]",
    "train=train[:10%]+train[50%:]&validation=train[99:101]", "train=train[:1%]&validation=train[-199:]&test=train[:1]",
)  # fmt: skip


def assert_disjoint(task: Task) -> None:
    splits = _splits(task)
    images = {name: {image.tobytes() for image in splits[name].decoded} for name in SPLITS}
    assert all(images.values())
    assert sum(map(len, images.values())) == len(set.union(*images.values()))
    assert {name: len(splits[name]) for name in SPLITS} == {name: len(images[name]) for name in SPLITS}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """`toy` with train and test, `lone` with train alone, `odd` with two splits of other names."""
    train, test = _examples(200), _examples(40)
    _prepare(tmp_path, "toy", {"train": train, "test": test}, shape=(6, 6, 3), num_classes=4)
    _prepare(tmp_path, "lone", {"train": train}, shape=(6, 6, 3), num_classes=4)
    _prepare(tmp_path, "odd", {"big": train, "small": test}, shape=(6, 6, 3), num_classes=4)
    return tmp_path


@pytest.mark.parametrize("name", ["toy", "lone"])
def test_no_image_is_in_two_splits(name: str, sets: Path) -> None:
    for query in ("", *DISJOINT):
        if not (name == "lone" and query == "train=train[:100]&test=train[50%:]"):
            assert_disjoint(_load(sets, f"tfds:{name}?{query}".rstrip("?")))


@pytest.mark.parametrize("name", ["toy", "lone"])
def test_slices_that_overlap_are_refused(name: str, sets: Path) -> None:
    for query in OVERLAPPING:
        with pytest.raises(DataError, match=r"share \d+ images: take them out of one. The set has the splits train"):
            _load(sets, f"tfds:{name}?{query}")


def test_the_test_images_that_are_asked_for_do_not_train(sets: Path) -> None:
    task = _load(sets, "tfds:lone?test=train[90%:]")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (170, 10, 20)
    assert task.notes == ()


def test_missing_splits_are_cut_out_of_training_and_that_is_told(sets: Path) -> None:
    task = _load(sets, "tfds:lone")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (170, 10, 20)
    assert "train[180:200] is taken out of training" in task.notes[0]
    half = _load(sets, "tfds:toy?validation=test[:50%]")
    assert (half.info.num_train, half.info.num_validation, half.info.num_test) == (200, 20, 20)


def test_what_was_disjoint_before_is_the_same_task(sets: Path) -> None:
    """Also where some images are in no split."""
    task = _load(sets, "tfds:toy?validation=train[:2%]")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (190, 4, 40)


def test_what_messages_propose_works(sets: Path) -> None:
    for name, query in (("odd", ""), ("odd", "train=big[5%"), ("lone", "test=tests"), ("toy", "train=trein")):
        with pytest.raises(DataError, match=r"say e\.g\.") as caught:
            _load(sets, f"tfds:{name}?{query}".rstrip("?"))
        proposed = str(caught.value).rpartition("tfds:NAME?")[2].rstrip(".")
        assert_disjoint(_load(sets, f"tfds:{name}?{proposed}"))
