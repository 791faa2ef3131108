from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from munet.data.folder import index
from munet.data.folder.image_files import natural
from munet.data.splits import SPLITS
from munet.data.tasks import Task, load_task
from munet.errors import DataError


def image(seed: int, size: tuple[int, int] = (6, 5)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def fill(place: Path, counts: dict[str, int], first: int = 0) -> None:
    """Distinct images, so many in each folder, written long ago."""
    for name, count in counts.items():
        (place / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            first += 1
            image(first).save(place / name / f"{number}.png")
    for path in place.rglob("*.png"):
        os.utime(path, (1e9, 1e9))


def load(place: Path | str, **options: Any) -> Task:
    return load_task(f"folder:{place}", **{"cache_dir": "off", **options})


def pixels_of(task: Task) -> dict[str, set[bytes]]:
    with task.testing():
        return {name: {one.tobytes() for one in task.split(name).images} for name in SPLITS}


def sizes(task: Task) -> tuple[int, ...]:
    return task.info.num_train, task.info.num_validation, task.info.num_test


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"b10": 20, "b2": 20, "a/young": 10, "a": 10})
    task = load(tmp_path / "birds/")
    assert task.info.name == "birds"
    assert task.info.class_names == ("a", "b2", "b10")
    assert sizes(task) == (48, 6, 6)
    assert task.image_shape == (6, 5, 3)
    assert Counter(task.split("validation").labels.tolist()) == {0: 2, 1: 2, 2: 2}
    assert not task.notes
    parts = pixels_of(task)
    assert not parts["train"] & parts["validation"]
    assert not (parts["train"] | parts["validation"]) & parts["test"]


def test_each_image_has_the_label_of_its_folder(tmp_path: Path) -> None:
    fill(tmp_path, {"x": 10, "y": 10})
    expected = {np.asarray(Image.open(path)).tobytes(): path.parent.name for path in tmp_path.glob("*/*.png")}
    task = load(tmp_path)
    with task.testing():
        for name in SPLITS:
            part = task.split(name)
            for one, label in zip(part.images, part.labels, strict=True):
                assert expected[one.tobytes()] == task.info.class_names[label]


def test_the_seed_splits_otherwise_and_file_names_do_not_matter(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"a": 30, "b": 30})
    fill(tmp_path / "y", {"a": 30, "b": 30})
    for number, path in enumerate(sorted(tmp_path.glob("y/*/*.png"))):
        path.rename(path.with_name(f"{number * 37 % 101}-renamed.PNG"))
    first, renamed, other = load(tmp_path / "x"), load(tmp_path / "y"), load(tmp_path / "x", seed=1)
    assert first.info.fingerprint == renamed.info.fingerprint != other.info.fingerprint
    assert pixels_of(first) == pixels_of(renamed) != pixels_of(other)


@pytest.mark.parametrize("name", ["validation", "val", "Valid"])
def test_folders_of_splits(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"train/a": 4, "train/b": 4, f"{name}/a": 2, f"{name}/b": 1, "test/a": 1, "test/b": 3})
    task = load(tmp_path)
    assert sizes(task) == (8, 3, 4)
    assert not task.notes
    with task.testing():
        assert Counter(task.split("test").labels.tolist()) == {0: 1, 1: 3}


@pytest.mark.parametrize(
    ("given", "expected", "said"),
    [
        ({"test/a": 3, "test/b": 3}, (36, 4, 6), "no validation split.*: 4 for validation"),
        ({"val/a": 3, "val/b": 3}, (36, 6, 4), "no test split.*: 4 for test"),
        ({}, (32, 4, 4), "no validation and no test split.*: 4 for validation and 4 for test"),
    ],
)
def test_a_missing_split_comes_from_train_and_is_said(
    tmp_path: Path, given: dict[str, int], expected: tuple[int, ...], said: str
) -> None:
    fill(tmp_path, {"train/a": 20, "train/b": 20, **given})
    task = load(tmp_path)
    assert sizes(task) == expected
    (note,) = task.notes
    assert re.search(said, note)


def test_classes_called_like_splits(tmp_path: Path) -> None:
    fill(tmp_path, {"train": 10, "bus": 10, "test": 10})
    assert load(tmp_path).info.class_names == ("bus", "test", "train")


def test_labels_in_a_file(tmp_path: Path) -> None:
    fill(tmp_path, {"images/deep": 40})
    rows = [f"images/deep/{n}.png,{'cat' if n % 2 else 'a dog'}" for n in range(40)]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    task = load(tmp_path)
    assert task.info.class_names == ("a dog", "cat")
    assert sizes(task) == (32, 4, 4)
    assert load(tmp_path / "labels.csv").info.name == task.info.name == tmp_path.name
    (tmp_path / "other.csv").write_text(
        "\ufeffSplit, Label ,note,Path\r\n"
        + "".join(
            f'{["train", "val", "Test"][n % 3]},{n % 2},"x, y",./images//deep/../deep/{n}.png\r\n' for n in range(40)
        ),
        encoding="utf-8",
    )
    other = load(tmp_path / "other.csv")
    assert (other.info.name, sizes(other)) == ("other", (14, 13, 13))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path'.*The file is empty"),
        ("file,label\n", r"no column 'path'.*path,label\[,split\]\. It has: file, label\."),
        ("path,labl\n", "no column 'label'.*Did you mean 'labl'"),
        ("path,label,label\n", "the column 'label' 2 times"),
        ("path,label\n", "no rows"),
        ("path,label\na/0.png\n", "line 2: 1 cells, expected 2"),
        ("path,label\na/0.png,x,y\n", "line 2: 3 cells, expected 2"),
        ("path,label\na/0.png,\n", "line 2: the label of 'a/0.png' is blank"),
        ("path,label\n,x\n", "line 2: the path is blank"),
        ("path,label\n\na/00.png,x\n", "line 3: there is no file .*00.png. Did you mean '0.png'"),
        ("path,label\nb/\0.png,x\n", "line 2: there is no file"),
        ("path,label\n../a/0.png,x\n", r"'../a/0.png' leads out of the folder"),
        ("path,label\na/../../a/0.png,x\n", "leads out of the folder"),
        ("path,label\n/etc/passwd,x\n", "'/etc/passwd' leads out of the folder"),
        ("path,label,split\na/0.png,x,trian\n", "no split 'trian'. Did you mean 'train'"),
        ("path,label,split\na/0.png,x,train\na/1.png,x,\n", "1 rows have no split, e.g. that of 'a/1.png'"),
        ("path,label,split\na/0.png,x,test\na/1.png,y,test\n", "no row has the split train"),
        ("path,label\na/0.png,x\n./a/0.png,y\n", "'a/0.png' again, as 'x' and 'y' .*one label for each image"),
        ("path,label\na/0.png,x\na/0.png,x\n", "'a/0.png' again. Keep one"),
        ('path,label\n"a/0.png,x\n', "no CSV"),
        ("path,label\na/0.png,x\n", "it has 1 class|no validation"),
        ("path,label\n" + "gone.png,x\n" * 7, "gone.png.*- and 2 more"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, text: str, message: str) -> None:
    fill(tmp_path, {"a": 3})
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load(tmp_path)


def test_labels_in_another_encoding_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("path,label\nä.png,ö\n".encode("latin-1"))
    with pytest.raises(DataError, match="no UTF-8 text"):
        load(tmp_path)


def test_missing_folders_name_the_nearest(tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"a": 3, "b": 3})
    with pytest.raises(DataError, match=r"there is no folder .*brids: .* has no 'brids'. Did you mean 'birds'\?"):
        load(tmp_path / "brids")
    with pytest.raises(DataError, match=r"has no 'brids'. Did you mean 'birds'\?"):
        load(tmp_path / "brids" / "deeper")
    with pytest.raises(DataError, match=r"no option 'rnge=0,9'\. Did you mean 'range'\?"):
        load(f"{tmp_path / 'birds'}?rnge=0,9")
    with pytest.raises(DataError, match=r"is a file, .* Did you mean folder:.*birds\?"):
        load(tmp_path / "birds" / "a" / "0.png")
    with pytest.raises(DataError, match=r"holds 3 files itself. Did you mean folder:.*/birds\?"):
        load(tmp_path / "birds" / "a")
    (tmp_path / "x.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"is a file, .* Did you mean npz:.*x\.npz\?"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "has no sub-folders with images"),
        ({"a": 0, "b": 0}, "no images in"),
        ({"a": 9, "b": 0}, "1 class has no readable image: 'b'"),
        ({"a": 9}, "only one sub-folder, 'a'; each is a class"),
        ({"birds/a": 9, "birds/b": 9}, r"only one sub-folder, 'birds'.*Did you mean folder:.*birds\?"),
        ({"train/a": 9}, "it has 1 class"),
        ({"train/a": 9, "train/b": 9, "tset/a": 1}, "tset/, which is no split. Did you mean 'test'"),
        ({"val/a": 9, "val/b": 9, "valid/a": 1}, r"both val(id)?/ and val(id)?/ are for validation"),
        ({"val/a": 9, "test/b": 9}, "no train/"),
        ({"train/a": 9, "train/b": 9, "test/c": 1}, "1 of 3 classes have no training image: 'c'"),
        ({"train/wren": 9, "train/b": 9, "test/wern": 1}, "'wern'. .* Did you mean 'wren' by 'wern'"),
        ({"a": 2, "b": 2}, "no validation and no test images"),
    ],
)
def test_folders_that_make_no_task(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    fill(tmp_path / "x", counts)
    (tmp_path / "x").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load(tmp_path / "x")


def test_what_is_no_image_is_left_out_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 10, ".git/a": 3, "a/.thumbnails": 3})
    for name in ("a/notes.txt", "b/more.txt", "b/photo.heic", "top.jpg", "a/.DS_Store", "b/README"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    task = load(tmp_path)
    assert sizes(task) == (16, 2, 2)
    foreign, others, hidden = task.notes
    assert "2 .txt" in others
    assert "not read are left out: 1 .heic." in foreign
    assert "1 .jpg beside the class folders" in others
    assert "1 special" in others
    assert "3 hidden files or folders" in hidden


@pytest.mark.parametrize(
    ("folders", "is_told"),
    [
        (("birds/robin", "birds/wren", "leaves/oak", "leaves/elm"), True),
        (("birds/train/robin", "birds/test/robin", "leaves/train/oak", "leaves/test/oak"), True),
        (("birds/monday", "birds/tuesday", "leaves/monday", "leaves/tuesday"), False),
        (("birds/robin", "birds/wren", "leaves"), False),
        (("birds/robin", "leaves/oak"), False),
    ],
)
def test_tasks_that_are_taken_for_classes_are_told(tmp_path: Path, folders: tuple[str, ...], is_told: bool) -> None:
    fill(tmp_path, dict.fromkeys(folders, 5))
    notes = load(tmp_path).notes
    wanted = f"tasks, not classes, name each: folder:{tmp_path}/birds,folder:{tmp_path}/leaves."
    assert any(note.endswith(wanted) for note in notes) == is_told
    assert len(notes) == is_told


def test_one_hidden_file_is_told_as_one(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 10})
    (tmp_path / ".DS_Store").write_text("x")
    assert load(tmp_path).notes == ("1 hidden file or folder is left out.",)


def test_symbolic_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", {"more": 5})
    fill(tmp_path / "x", {"a": 5, "b": 10})
    (tmp_path / "x" / "a" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "x" / "a" / "again").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "x" / "a" / "up").symlink_to(tmp_path / "x")
    (tmp_path / "x" / "b" / "self").symlink_to("self")
    (tmp_path / "elsewhere" / "more" / "back").symlink_to(tmp_path / "elsewhere")
    assert sum(sizes(load(tmp_path / "x"))) == 20


def test_unreadable_files_are_named_and_left_out_up_to_a_limit(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 40, "b": 60})
    (tmp_path / "a" / "0.png").write_bytes(b"hello")
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "a" / "1.png").write_bytes(whole[:-40])
    (tmp_path / "b" / "lost.png").symlink_to("nowhere.png")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "3 of 101 files (3.0%) cannot be read as images; up to 1.0% are left out" in message
    assert "a/0.png (no image in a known format" in message
    assert "a/1.png (damaged: " in message
    assert "b/lost.png (cannot be read: No such file or directory)" in message
    assert "--config.max_bad_images=0.03" in message
    task = load(tmp_path, max_bad_images=0.03)
    assert sum(sizes(task)) == 98
    (note,) = task.notes
    assert note.startswith("3 of 101 files cannot be read and are left out: a/0.png (no image")
    with pytest.raises(DataError, match="3 of 101 files"):
        load(tmp_path, max_bad_images=0.029)


def test_a_class_whose_files_are_all_unreadable(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 40, "b": 60})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "only.jpg").write_bytes(b"hello")
    with pytest.raises(DataError, match="1 class has no readable image: 'c'"):
        load(tmp_path, max_bad_images=0.5)


def test_equal_files_in_two_splits_are_reported(tmp_path: Path) -> None:
    fill(tmp_path, {"train/a": 10, "train/b": 10, "val/a": 5, "val/b": 5, "test/a": 5, "test/b": 5})
    (tmp_path / "test/a/copy.png").write_bytes((tmp_path / "train/a/3.png").read_bytes())
    (tmp_path / "val/b/copy.png").write_bytes((tmp_path / "train/a/3.png").read_bytes())
    notes = load(tmp_path).notes
    assert notes == (
        "1 of 11 validation images are also in train (files of equal content), e.g. val/b/copy.png = train/a/3.png.",
        "1 of 11 test images are also in train (files of equal content), e.g. test/a/copy.png = train/a/3.png.",
        "1 of 11 test images are also in validation (files of equal content), e.g. test/a/copy.png = val/b/copy.png.",
        "Files with the content of one of another class: 1, e.g. val/b/copy.png = train/a/3.png.",
    )


def test_our_own_split_keeps_equal_files_together(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 30, "b": 30})
    for path in sorted(tmp_path.glob("*/*.png")):
        for copy in range(int(path.stem) % 4):
            path.with_name(f"copy {copy} of {path.name}").write_bytes(path.read_bytes())
    task = load(tmp_path)
    assert sum(sizes(task)) == 2 * (30 + 43)
    assert not task.notes


def test_images_of_many_sizes_are_squashed_and_of_one_size_kept(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 10})
    assert load(tmp_path).image_shape == (6, 5, 3)
    assert load(tmp_path, max_image_size=2).image_shape == (4, 4, 3)
    image(1, (7, 9)).save(tmp_path / "a" / "other.png")
    assert load(tmp_path).image_shape == (128, 128, 3)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 10})
    colours = load(tmp_path)
    for path in tmp_path.glob("*/*.png"):
        with Image.open(path) as opened:
            opened.convert("L").convert("RGB" if path.name == "3.png" else "L").save(path)
    for options in ({}, {"cache_dir": str(tmp_path / ".cache")}):
        task = load(tmp_path, **options)
        assert task.image_shape == (6, 5, 1)
        assert task.info.fingerprint != colours.info.fingerprint


def test_a_long_read_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(index, "_SECONDS_BETWEEN_LINES", -1.0)
    progress = index.Progress(said.append, "birds: read", 2)
    progress.step()
    progress.step()
    assert said == ["birds: read 1 of 2 images", "birds: read 2 of 2 images"]


def test_natural_order() -> None:
    names = ["a10", "a2", "A1", "10", "9", "007", "²", "1" * 5000, "b"]
    assert sorted(names, key=natural) == ["007", "9", "10", "1" * 5000, "A1", "a2", "a10", "b", "²"]


def test_names_in_any_encoding(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "ö": 10})
    (tmp_path / "a").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    assert load(tmp_path).info.class_names == ("ö", "\ufffd")
