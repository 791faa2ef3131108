"""Options that make another task of a set."""

from __future__ import annotations

import numpy as np
import pytest

from munet.data.notation import describe_split
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_task, load_tasks
from munet.data.uris import parse_uri
from munet.errors import DataError


def opened(options: str) -> Task:
    return load_task(f"builtin:digits{options}", cache_dir="off")


def test_images_are_turned_clockwise() -> None:
    plain, turned = opened(""), opened("?rotate=90")
    before, after = plain.split("train"), turned.split("train")
    assert (after.labels == before.labels).all()
    np.testing.assert_array_equal(after.decoded, np.rot90(before.decoded, 3, axes=(1, 2)))
    corner = before.decoded[0].copy()
    assert (after.decoded[0][:, -1] == corner[0]).all()  # the upper row has become the right column
    assert (opened("?rotate=180").split("train").decoded[0][::-1, ::-1] == corner).all()


def test_a_class_is_left_out_and_labels_have_no_gap() -> None:
    task = opened("?without=3")
    assert task.info.class_names == ("0", "1", "2", "4", "5", "6", "7", "8", "9")
    plain, found = opened("").split("train"), task.split("train")
    kept = plain.labels != 3
    assert sorted(set(found.labels.tolist())) == list(range(9))
    np.testing.assert_array_equal(found.labels, plain.labels[kept] - (plain.labels[kept] > 3))
    np.testing.assert_array_equal(found.decoded, plain.decoded[kept])
    with task.testing():
        sizes = [len(task.split(name)) for name in ("train", "validation", "test")]
    assert sizes == [task.info.num_train, task.info.num_validation, task.info.num_test]


def test_some_classes_are_kept_in_the_sets_order() -> None:
    task = opened("?classes=9,0,4")
    assert task.info.class_names == ("0", "4", "9")
    plain, found = opened("").split("validation"), task.split("validation")
    names = np.array(["0", "4", "9"])[found.labels]
    np.testing.assert_array_equal(names.astype(int), plain.labels[np.isin(plain.labels, [0, 4, 9])])


def test_every_change_is_another_task_with_a_name_of_its_own() -> None:
    options = ("", "?rotate=90", "?rotate=270", "?without=3", "?classes=0,4,9", "?classes=0,4,9&rotate=90")
    tasks = [opened(one) for one in options]
    assert [task.info.name for task in tasks] == [
        "digits", "digits/rotated_90", "digits/rotated_270", "digits/without_3", "digits/classes_0_4_9",
        "digits/rotated_90/classes_0_4_9",
    ]  # fmt: skip
    assert len({task.info.fingerprint for task in tasks}) == len(tasks)


def test_a_task_may_be_there_twice_by_another_name() -> None:
    uris = ["builtin:digits", "builtin:digits?name=digits_again"]
    one, other = load_tasks(uris, OpenSettings(cache_dir="off"))
    assert [one.info.name, other.info.name] == ["digits", "digits_again"]
    assert one.info.fingerprint == other.info.fingerprint


def test_tables_say_how_a_set_was_changed() -> None:
    assert describe_split("tfds:mnist?rotate=90") == "train[5%:], train[:5%], test; rotate=90"
    assert describe_split("builtin:digits?name=x") == "80/10/10"
    assert parse_uri("tfds:cmaterdb/bangla?without=3").name == "cmaterdb/bangla/without_3"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("?rotate=45", "rotate=45: images are turned clockwise by 90, 180 or 270 degrees"),
        ("?without=12", "without=12: there is no such class"),
        ("?classes=0,0", "names a class twice"),
        ("?classes=7", "only class '7' of 10 would be left, and a task needs at least 2"),
        ("?classes=3,4&without=3", "only class '4' of 10 would be left"),
        ("?classes=3,4&without=5", "not there any more"),
        ("?name=a%20b", "expected letters, digits"),
        ("?turn=90", "a builtin task has no option 'turn'; it takes rotate, without, classes, name"),
    ],
)
def test_what_cannot_be_is_refused(options: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        opened(options)


def test_a_two_class_task_cannot_lose_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="only class '1' of 10 would be left"):
        opened("?without=0,2,3,4,5,6,7,8,9")
