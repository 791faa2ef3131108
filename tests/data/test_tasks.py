from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data.open_settings import OpenSettings
from munet.data.splits import Source, Split, Splits
from munet.data.tasks import Task, load_task, load_tasks
from munet.data.uris import parse_uri
from munet.errors import DataError, HygieneError


class _Stop(Exception):
    """Ends a block from within."""


@pytest.fixture
def npz(tmp_path: Path) -> str:
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
    np.savez(tmp_path / "shapes.npz", images=images, labels=np.repeat(np.arange(4), 10))
    return f"npz:{tmp_path / 'shapes.npz'}"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("tfds:mnist", "mnist"),
        ("tfds:cmaterdb/bangla", "cmaterdb/bangla"),
        ("tfds:omniglot?split=clean", "omniglot"),
        ("npz:/some/where/faces.npz", "faces"),
        ("npz:faces.npz", "faces"),
        ("builtin:digits", "digits"),
        ("builtin:glyphs/greek", "glyphs/greek"),
        ("birds=folder:/data/a/images", "birds"),
        ("two words=npz:/x=y.npz", "two words"),
        ("folder:/data/a/../b", "b"),
        ("folder:/data/images/", "images"),
        ("folder:/", "root"),
    ],
)
def test_a_task_is_named_by_its_uri(uri: str, name: str) -> None:
    assert parse_uri(uri).name == name


def test_options_are_taken_as_they_are() -> None:
    options = parse_uri("tfds:x?train=train[5%:]+extra&validation=train[:5%]").options
    assert options == {"train": "train[5%:]+extra", "validation": "train[:5%]"}


def test_a_path_may_hold_a_question_mark() -> None:
    assert parse_uri("npz:/a?b=c.npz").path == "/a?b=c.npz"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mnist", "a scheme is missing, e.g. tfds:mnist"),
        ("/", "a scheme is missing, e.g. folder:/ or"),
        ("birds.npz", "a scheme is missing, e.g. npz:birds.npz"),
        ("", "a scheme is missing"),
        ("glyphs/greek", "a scheme is missing, e.g. builtin:glyphs/greek or builtin:digits."),
        ("digits", "a scheme is missing, e.g. builtin:digits."),
        ("tfsd:mnist", "no scheme 'tfsd'. Did you mean 'tfds'"),
        ("tfds:", "nothing follows the scheme"),
        ("builtin:/", "nothing follows the scheme"),
        ("builtin:digits?train=x", "a builtin task has no option 'train'; it takes rotate, without"),
        ("=builtin:digits", "cannot be called ''"),
        ("a,b=builtin:digits", "cannot be called 'a,b'"),
        ("a=b=builtin:digits", "cannot be called 'a=b'"),
        (" a=builtin:digits", "cannot be called ' a'"),
        ("a\x1b[2J=builtin:digits", "cannot be called"),
        ("birds=foldr:x", "no scheme 'foldr'. Did you mean 'folder'"),
    ],
)
def test_wrong_uris_are_refused(uri: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_task(uri)


def test_a_task_and_its_splits(npz: str) -> None:
    task = load_task(npz)
    assert task.uri == task.info.uri == npz
    assert task.info.num_classes == 4
    assert len(task.split("train")) == task.info.num_train == 32
    assert task.split("train") is task.split("train")
    with pytest.raises(ValueError, match="Did you mean 'train'"):
        task.split("trian")  # type: ignore[arg-type]  # on purpose


def test_nothing_is_decoded_until_a_split_is_asked_for(npz: str) -> None:
    split = Split(np.zeros((1, 2, 3, 1), np.uint8), np.zeros(1, np.int32))
    calls = []

    def load() -> Splits:
        calls.append(1)
        return {"train": split, "validation": split, "test": split}

    task = Task(load_task(npz).info, Source(("a", "b"), {}, "", load))
    assert not calls
    assert task.image_shape == (2, 3, 1)
    with task.testing():
        task.split("test")
    assert calls == [1]


def test_the_test_split_is_closed_unless_it_is_opened(npz: str) -> None:
    task = load_task(npz)
    with pytest.raises(HygieneError, match=r"'shapes' was asked for outside of `with task\.testing\(\):`"):
        task.split("test")
    with task.testing():
        with task.testing():
            assert len(task.split("test")) == 4
        assert len(task.split("test")) == 4  # an inner block does not close what an outer one opened
    assert task.num_tested == 2
    with pytest.raises(_Stop), task.testing():
        raise _Stop
    with pytest.raises(HygieneError):
        task.split("test")
    task.split("train"), task.split("validation")


def test_a_seed_is_another_split_of_the_same_images(npz: str) -> None:
    first, same, other = load_task(npz), load_task(npz), load_task(npz, seed=1)
    assert first.info == same.info
    np.testing.assert_array_equal(first.split("train").images, same.split("train").images)
    assert first.info.fingerprint != other.info.fingerprint


def test_tasks_keep_their_order(npz: str) -> None:
    names = [task.info.name for task in load_tasks([npz, "builtin:digits"], OpenSettings(cache_dir="off"))]
    assert names == ["shapes", "digits"]


def test_all_problems_are_reported_together(npz: str, tmp_path: Path) -> None:
    uris = [npz, "tfds:nothing", "builtin:digit", f"npz:{tmp_path}/sub/../shapes.npz"]
    with pytest.raises(DataError) as caught:
        load_tasks(uris, OpenSettings(data_dir=str(tmp_path), cache_dir="off"))
    message = str(caught.value)
    assert message.startswith("3 of 4 tasks cannot be used:")
    assert "tfds:nothing is not prepared" in message
    assert "Did you mean 'digits'" in message
    assert f"a task called 'shapes' is there already ({npz})" in message


def test_one_file_that_is_missing_is_told_once_of_many_tasks(tmp_path: Path) -> None:
    """`muir:synthetic` has thirty tasks in one file."""
    uris = [f"task{number}=muir:{tmp_path}/nothing.npz?task={number}" for number in range(30)]
    with pytest.raises(DataError) as caught:
        load_tasks([*uris, "builtin:digit"], OpenSettings(cache_dir="off"))
    first, once, other = str(caught.value).splitlines()
    assert first == "31 of 31 tasks cannot be used:"
    assert once == f"  - {uris[0]} and 29 more: there is no file {tmp_path}/nothing.npz."
    assert "Did you mean 'digits'" in other


def test_one_command_prepares_all_missing_sets(tmp_path: Path) -> None:
    uris = ["tfds:mnist", "tfds:visual_domain_decathlon/imagenet12?train=train", "tfds:imagenet2012", "tfds:mnits"]
    with pytest.raises(DataError) as caught:
        load_tasks(uris, OpenSettings(data_dir=str(tmp_path), cache_dir="off"))
    message = str(caught.value)
    assert message.startswith("4 of 4 tasks cannot be used:")
    together = "mnist visual_domain_decathlon/imagenet12 imagenet2012"
    assert message.count(f"tfds build {together} --file_format=array_record --data_dir={tmp_path}\n") == 1
    assert "imagenet12: its images come from image-net.org" in message
    assert "imagenet2012: download it by hand into a folder and add --manual_dir=FOLDER." in message
    assert "TFDS cannot make mnits: Did you mean 'mnist'" in message


def test_no_tasks_are_refused() -> None:
    with pytest.raises(DataError, match="No tasks are given"):
        load_tasks([], OpenSettings())
