"""Tasks from arrays: what is accepted, how it is split, and what every mistake is answered with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import munet
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_task, open_task
from munet.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 6, 5), np.uint8)
LABELS = np.repeat(np.arange(4), 10)


def opened(task: munet.Task, **changes: Any) -> Task:
    return open_task(task.uri, OpenSettings(arrays={task.name: task}, **changes))


def sizes(task: Task) -> tuple[int, int, int]:
    return task.info.num_train, task.info.num_validation, task.info.num_test


def rows(task: Task, split: Any) -> set[bytes]:
    with task.testing():
        return {image.tobytes() for image in task.split(split).images}


def test_arrays_are_split_as_an_npz_file_of_them(tmp_path: Any) -> None:
    np.savez(tmp_path / "birds.npz", images=IMAGES, labels=LABELS)
    file, task = load_task(f"npz:{tmp_path}/birds.npz"), opened(munet.Task("birds", IMAGES, LABELS))
    assert task.info.uri == "memory:birds"
    assert task.info.name == file.info.name == "birds"
    assert task.info.fingerprint == file.info.fingerprint
    assert sizes(task) == sizes(file) == (32, 4, 4)


def test_given_splits_stay_what_they_are() -> None:
    parts = IMAGES[:20], IMAGES[20:32], IMAGES[32:]
    labels = np.tile(np.arange(4), 10)
    task = opened(
        munet.Task("a", parts[0], labels[:20], validation=(parts[1], labels[20:32]), test=(parts[2], labels[32:]))
    )
    assert sizes(task) == (20, 12, 8)
    for split, part in zip(("train", "validation", "test"), parts, strict=True):
        assert rows(task, split) == {image.tobytes() for image in part}


@pytest.mark.parametrize(("given", "expected"), [("test", (32, 4, 8)), ("validation", (32, 8, 4))])
def test_a_missing_split_is_taken_from_the_images(given: str, expected: tuple[int, int, int]) -> None:
    other = RNG.integers(0, 256, (8, 6, 5), np.uint8)
    labels = np.tile(np.arange(4), 9)
    images = RNG.integers(0, 256, (36, 6, 5), np.uint8)
    task = opened(munet.Task("a", images, labels, **{given: (other, labels[:8])}))  # type: ignore[arg-type]
    assert sizes(task) == expected
    assert rows(task, given) == {image.tobytes() for image in other}
    kept = set.union(*(rows(task, split) for split in ("train", "validation", "test") if split != given))
    assert kept == {image.tobytes() for image in images}


def test_one_coloured_split_makes_all_have_three_channels() -> None:
    colour = RNG.integers(0, 256, (8, 6, 5, 3), np.uint8)
    task = opened(munet.Task("a", IMAGES, LABELS, test=(colour, LABELS[::5])))
    assert task.image_shape == (6, 5, 3)
    with task.testing():
        assert task.split("test").images.shape == (8, 6, 5, 3)


def test_large_images_are_squashed_in_every_split() -> None:
    task = opened(munet.Task("a", IMAGES, LABELS, test=(IMAGES[::5], LABELS[::5])), max_image_size=2)
    with task.testing():
        assert {task.split(split).images.shape[1:] for split in ("train", "validation", "test")} == {(4, 4, 1)}


def test_the_fingerprint_and_the_digest_follow_the_content() -> None:
    first, changed = munet.Task("a", IMAGES, LABELS), IMAGES.copy()
    changed[7, 0, 0] ^= 1
    others = [
        munet.Task("a", changed, LABELS),
        munet.Task("a", IMAGES, LABELS, class_names=list("abcd")),
        munet.Task("a", IMAGES, LABELS, test=(changed[::5], LABELS[::5])),
    ]
    assert opened(munet.Task("b", IMAGES.copy(), LABELS)).info.fingerprint == opened(first).info.fingerprint
    for other in others:
        assert opened(other).info.fingerprint != opened(first).info.fingerprint
        assert other.digest != first.digest


def test_a_task_says_what_it_is() -> None:
    assert repr(munet.Task("a/b", IMAGES, LABELS)) == "Task('a/b': train 40 images, 6x5 grey, 4 classes)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "cannot be called ''"),
        ({"name": "a?b"}, "cannot be called 'a[?]b'"),
        ({"images": IMAGES / 255}, r"images is float64 .*\(255 \* images\)"),
        ({"images": np.zeros((40, 3, 6, 5), np.uint8)}, "Channels first"),
        ({"images": [np.zeros((6, 5), np.uint8), np.zeros((5, 5), np.uint8)]}, "differ in size"),
        ({"labels": LABELS.astype(str)}, r"numpy\.unique"),
        ({"labels": np.eye(4)[LABELS]}, "one-hot"),
        ({"labels": np.ones((40, 4), int)}, "multi-label"),
        ({"labels": LABELS[:-1]}, "40 images but 39 labels"),
        ({"class_names": "abcd"}, "expected a list of strings"),
        ({"test": IMAGES}, "test is a ndarray, expected a pair"),
        ({"test": (IMAGES[:, 1:], LABELS)}, "train 6x5, test 5x5"),
        ({"test": (IMAGES, LABELS[1:])}, r"memory:birds \(test\): 40 images but 39"),
    ],
)
def test_unusable_arrays_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        munet.Task(**{"name": "birds", "images": IMAGES, "labels": LABELS, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["a", "b"]}, "label 2 at index 20"),
        ({"labels": np.full(40, 2)}, "all 40 images are of class 2"),
        ({"test": (IMAGES, LABELS - 1)}, r"\(test\): labels out of range: label -1"),
        ({"test": (IMAGES[:0], LABELS[:0])}, "no test images"),
    ],
)
def test_what_makes_no_task_is_refused_when_it_is_opened(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(munet.Task(**{"name": "birds", "images": IMAGES, "labels": LABELS, **changes}))


def test_without_its_arrays_a_task_says_how_to_hand_them_over() -> None:
    with pytest.raises(DataError, match=r"munet\.Task\('birds', images, labels\).*munet\.evolve.*munet\.verify"):
        load_task("memory:birds")


def test_images_of_pillow_are_their_colours_not_their_palette_numbers() -> None:
    """Trained on the numbers, models knew nothing of files and arrays."""
    few = RNG.integers(0, 2, (40, 6, 5, 3), np.uint8) * 255
    task = munet.Task("a", [Image.fromarray(image).convert("P") for image in few], LABELS)
    np.testing.assert_array_equal(task.parts["train"][0], few)
    grey = munet.Task("a", [Image.fromarray(image[..., 0]) for image in few], LABELS)
    assert grey.parts["train"][0].shape == (40, 6, 5, 1)
    mixed = munet.Task("a", [Image.fromarray(few[0, ..., 0]), *map(Image.fromarray, few[1:])], LABELS)
    np.testing.assert_array_equal(mixed.parts["train"][0][1:], few[1:])


def test_images_of_pillow_that_cannot_be_used_are_named() -> None:
    images = [Image.fromarray(image[..., 0]) for image in np.repeat(IMAGES[..., None], 3, -1)]
    with pytest.raises(DataError, match="image 1 of train cannot be used: floating-point pixels"):
        munet.Task("a", [images[0], images[1].convert("F"), *images[2:]], LABELS)
    with pytest.raises(DataError, match="differ in size"):
        munet.Task("a", [images[0].resize((3, 3)), *images[1:]], LABELS)


def test_equal_images_in_two_splits_or_of_two_classes_are_said() -> None:
    """They are split one by one: nobody said that test images had been trained on."""
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    labels = np.arange(40) % 2
    test = (np.concatenate([images[:3], 255 - images[3:9]]), np.concatenate([labels[:3], labels[3:9]]))
    assert opened(munet.Task("a", images, labels)).notes == ()
    assert opened(munet.Task("a", images, labels, validation=test, test=(255 - images[9:], labels[9:]))).notes == (
        "3 of 9 validation images are also in train (equal pixels).",
    )
    images[11], images[20] = images[10], images[12]  # of another class, and of the same
    assert "Images with the pixels of one of another class: 1." in opened(munet.Task("a", images, labels)).notes
    images[:] = images[0]  # all
    notes = opened(munet.Task("a", images, labels)).notes
    assert [note.split(" are ")[0] for note in notes[:3]] == [
        "4 of 4 validation images", "4 of 4 test images", "4 of 4 test images"
    ]  # fmt: skip
