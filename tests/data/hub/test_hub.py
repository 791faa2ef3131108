"""Hugging Face sets: every form they come in, their splits and columns, and what every mistake is answered with."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from munet.data.hub.hub_set import HubSet, open_set
from munet.data.splits import SPLITS, SplitName
from munet.data.tasks import Task, load_task
from munet.errors import DataError

datasets = pytest.importorskip("datasets", reason="needs the extra hf")

RNG = np.random.default_rng(0)
NAMES = ["ant", "bee", "cat"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and nothing of the user's."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def png(shape: tuple[int, ...] = (6, 5, 3)) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def table(num: int, kind: Any = None, more: Mapping[str, Any] | None = None, **columns: Any) -> Any:
    """`num` rows of noise; their labels count up, or are `columns`."""
    kind = datasets.ClassLabel(names=NAMES) if kind is None else kind
    content = {"image": [png() for _ in range(num)], "label": [index % 3 for index in range(num)]} | columns
    features = {"image": datasets.Image(), "label": kind} | dict(more or {})
    kept = {name: content[name] for name in features}
    return datasets.Dataset.from_dict(kept, features=datasets.Features(features))


def saved(folder: Path, **splits: Any) -> Path:
    datasets.DatasetDict(splits).save_to_disk(folder)
    return folder


def parquet(folder: Path, splits: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True)
    for name, split in splits.items():
        split.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return folder


def load(uri: str | Path, **changes: Any) -> Task:
    return load_task(f"hf:{uri}", cache_dir="off", **changes)


def sizes(task: Task) -> tuple[int, int, int]:
    return task.info.num_train, task.info.num_validation, task.info.num_test


def contents(task: Task, split: Any) -> list[bytes]:
    with task.testing():
        return [image.tobytes() for image in task.split(split).images]


def test_own_splits_are_used_and_put_in_content_order(tmp_path: Path) -> None:
    splits: dict[SplitName, Any] = {"train": table(30), "validation": table(9), "test": table(12)}
    task = load(saved(tmp_path / "insects", **splits))
    assert task.info.name == "insects"
    assert task.info.class_names == tuple(NAMES)
    assert sizes(task) == (30, 9, 12)
    assert task.image_shape == (6, 5, 3)
    for name, split in splits.items():
        pixels = [np.asarray(image.convert("RGB")).tobytes() for image in split["image"]]
        assert sorted(contents(task, name)) == sorted(pixels)
        assert contents(task, name) != pixels
        with task.testing():
            by_image = dict(zip(contents(task, name), task.split(name).labels.tolist(), strict=True))
        assert by_image == dict(zip(pixels, split["label"], strict=True))


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": 30, "test": 6}, (27, 3, 6)),
        ({"train": 30, "dev": 6}, (27, 6, 3)),
        ({"train": 30}, (24, 3, 3)),
        ({"everything": 30}, (24, 3, 3)),
        ({"test": 30}, (24, 3, 3)),
    ],
)
def test_missing_splits_are_carved(tmp_path: Path, splits: dict[str, int], expected: tuple[int, int, int]) -> None:
    task = load(saved(tmp_path / "a", **{name: table(num) for name, num in splits.items()}))
    assert sizes(task) == expected
    with task.testing():
        assert tuple(len(task.split(name)) for name in ("train", "validation", "test")) == expected
    assert len({*contents(task, "train"), *contents(task, "validation"), *contents(task, "test")}) == sum(expected)


def test_the_same_images_are_the_same_task_in_every_form(tmp_path: Path) -> None:
    splits = {"train": table(30), "test": table(6)}
    tasks = [load(saved(tmp_path / "one", **splits)), load(parquet(tmp_path / "two", splits))]
    # A set of the hub that is in the cache is there without a network.
    (tmp_path / "cache" / "two").rename(tmp_path / "cache" / "me___two")
    tasks.append(load("me/two"))
    assert [task.info.name for task in tasks] == ["one", "two", "me/two"]
    assert len({task.info.fingerprint for task in tasks}) == 1
    assert len({(*contents(task, "train"), *contents(task, "test")) for task in tasks}) == 1
    for other in (load(f"{tmp_path}/two?train=train[:15]"), load(tmp_path / "two", seed=1)):
        assert other.info.fingerprint != tasks[0].info.fingerprint
    changed = {"train": splits["train"].select([1, 0, *range(2, 30)]), "test": table(6)}
    assert load(saved(tmp_path / "four", **changed)).info.fingerprint != tasks[0].info.fingerprint


def test_what_was_read_is_remembered_while_the_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "a", train=table(30), test=table(6))
    first = load_task(f"hf:{folder}", cache_dir=str(tmp_path / "munet"))
    first.split("train")
    with monkeypatch.context() as patch:
        patch.setattr(HubSet, "_encoded", None)
        again = load_task(f"hf:{folder}", cache_dir=str(tmp_path / "munet"))
        assert again.info == first.info
        assert contents(again, "train") == contents(first, "train")
    other = saved(tmp_path / "b", train=table(30), test=table(6))
    for file in other.rglob("*.arrow"):
        file.rename(folder / file.relative_to(other))
    assert load_task(f"hf:{folder}", cache_dir=str(tmp_path / "munet")).info.fingerprint != first.info.fingerprint


def test_a_folder_of_image_files(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "insects" / "train" / name).mkdir(parents=True)
        for index in range(10):
            (tmp_path / "insects" / "train" / name / f"{index}.png").write_bytes(png()["bytes"])
    task = load(tmp_path / "insects")
    assert sizes(task) == (24, 3, 3)
    assert task.info.class_names == tuple(NAMES)
    assert len(task.split("train")) == 24
    opened = open_set("hf:a", str(tmp_path / "insects"), {}, print)
    with pytest.raises(
        DataError, match=r"image 7 of split train is the file /nowhere/1\.png, which cannot be used: cannot be re"
    ):
        opened._bytes("7 of split train", {"bytes": None, "path": "/nowhere/1.png"})


def test_images_outside_of_the_set_are_seen_to_change(tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.png" for index in range(30)]
    for file in files:
        file.write_bytes(png()["bytes"])
    cells = [{"bytes": None, "path": str(file)} for file in files]
    folder = parquet(tmp_path / "x", {"train": table(30, image=cells)})
    options: dict[str, Any] = {"cache_dir": str(tmp_path / "munet")}
    first, late = (load_task(f"hf:{folder}", **options) for _ in range(2))
    assert late.info == first.info
    new = png()
    files[0].write_bytes(new["bytes"])
    with pytest.raises(DataError, match="changed while they were read"):
        late.split("train")  # else the cache would hold the new image as a part of the old set
    second = load_task(f"hf:{folder}", **options)
    assert second.info.fingerprint == load(folder).info.fingerprint != first.info.fingerprint
    pixels = np.asarray(Image.open(io.BytesIO(new["bytes"]))).tobytes()
    assert pixels in {image for name in SPLITS for image in contents(second, name)}


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self"])
def test_only_files_are_read_as_images(tmp_path: Path, path: str) -> None:
    """A set of a stranger may name what never ends."""
    cells = [png() for _ in range(29)] + [{"bytes": None, "path": path}]
    with pytest.raises(DataError, match=rf"image 29 of split train is the file {path}, which cannot be used: no regu"):
        load(parquet(tmp_path / "x", {"train": table(30, image=cells)}))


def test_splits_in_the_notation_of_datasets(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", train=table(30), extra=table(10))
    assert sizes(load(f"{folder}?train=train[:60%]+extra&validation=train[60%:80%]&test=train[80%:]")) == (28, 6, 6)


def test_images_of_many_sizes_are_squashed(tmp_path: Path) -> None:
    images = [png((4 + index, 7, 3)) for index in range(30)]
    assert load(saved(tmp_path / "a", train=table(30, image=images)), max_image_size=8).image_shape == (16, 16, 3)
    grey = [png((20, 7)) for _ in range(30)]
    assert load(saved(tmp_path / "b", train=table(30, image=grey)), max_image_size=8).image_shape == (16, 16, 1)


def test_labels_may_be_numbers_or_text(tmp_path: Path) -> None:
    numbers = load(saved(tmp_path / "a", train=table(30, datasets.Value("int32"))))
    assert numbers.info.class_names == ("0", "1", "2")
    texts = table(30, datasets.Value("string"), label=["wasp", "bee", "ant"] * 10)
    assert load(saved(tmp_path / "b", train=texts)).info.class_names == ("ant", "bee", "wasp")
    digit = table(30, None, {"digit": datasets.Value("int64")}, digit=[0, 1] * 15).remove_columns("label")
    assert load(saved(tmp_path / "c", train=digit)).info.class_names == ("0", "1")


def test_columns_may_be_chosen(tmp_path: Path) -> None:
    more = {name: datasets.ClassLabel(names=NAMES) for name in ("fine", "coarse")} | {"mask": datasets.Image()}
    columns = {"fine": [0, 1, 2] * 10, "coarse": [0, 1, 1] * 10, "mask": [png((3, 3)) for _ in range(30)]}
    split = table(30, None, more, **columns).remove_columns("label")
    folder = saved(tmp_path / "a", train=split)
    with pytest.raises(DataError, match=r"which column holds the label\? Say \?label=NAME; there are 'fine', 'coarse'"):
        load(folder)
    task = load(f"{folder}?label=coarse&image=mask")
    assert task.image_shape == (3, 3, 1)
    assert np.bincount(task.split("train").labels).tolist() == [8, 16]
    folder = saved(tmp_path / "b", train=split.rename_column("image", "photo"))
    with pytest.raises(DataError, match=r"Say \?image=NAME; there are 'photo', 'mask'"):
        load(f"{folder}?label=fine")


def test_several_labels_an_image_are_refused(tmp_path: Path) -> None:
    label = datasets.List(datasets.ClassLabel(names=NAMES))
    folder = saved(tmp_path / "a", train=table(30, label, label=[[0, 1]] * 30))
    for query in ("", "?label=label"):
        with pytest.raises(DataError, match=r"column 'label' holds several labels an image \(multi-label\)"):
            load(f"{folder}{query}")
    boxes = datasets.List({"box": datasets.Value("int64"), "kind": datasets.ClassLabel(names=NAMES)})
    objects = table(9, None, {"objects": boxes}, objects=[[{"box": 1, "kind": 1}]] * 9).remove_columns("label")
    with pytest.raises(DataError, match=r"column 'objects' holds several labels an image"):
        load(saved(tmp_path / "b", train=objects))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?labl=label", "no option 'labl'. Did you mean 'label'"),
        ("?label=lable", "no column of labels 'lable'. Did you mean 'label'"),
        ("?image=img", "no column of images 'img'"),
        ("?train=trian", r"split 'trian' cannot be read: .* The set has the splits train \(30\), test \(9\)"),
        ("?train=train[5", "split 'train.5' cannot be read"),
        ("?validation=train[:10%]", "train and validation share 3 images of split 'train'"),
        ("?test=train", "train and test share 30 images"),
        ("?test=test[9:]", "no test images"),
        ("?config=x", "a set saved on disk has no config"),
    ],
)
def test_unusable_options_are_refused(tmp_path: Path, query: str, message: str) -> None:
    folder = saved(tmp_path / "a", train=table(30), test=table(9))
    with pytest.raises(DataError, match=message):
        load(f"{folder}{query}")


def test_unusable_sets_are_refused(tmp_path: Path) -> None:
    def problem(name: str, **splits: Any) -> str:
        with pytest.raises(DataError) as raised:
            load(saved(tmp_path / name, **splits)).split("train")
        return str(raised.value)

    assert "say ?train=name" in problem("no-train", a=table(9), b=table(9)).lower()
    assert "none of its columns is an Image ('label')" in problem("blind", train=table(9).remove_columns("image"))
    assert "There is no column of class numbers" in problem("mute", train=table(9).remove_columns("label"))
    hidden = table(9, label=[-1] * 9)
    assert "all images of test have no label" in problem("hidden", train=table(30), test=hidden)
    assert "some images of train have no label" in problem("some", train=table(9, label=[None, *range(3), *[0] * 5]))
    assert "all 9 images are of class 1" in problem("one", train=table(9, label=[1] * 9))
    other = table(9, datasets.ClassLabel(names=["x", "y", "z"]))
    assert "of split 'test' are not those of the others" in problem("mixed", train=table(30), test=other)
    broken = [{"bytes": b"no image", "path": None}, *(png() for _ in range(29))]
    assert "image 0 of split train cannot be decoded" in problem("broken", train=table(30, image=broken))
    assert "image 2 of split train is empty" in problem("hole", train=table(30, image=[png(), png(), None] * 10))
    unsure = table(9, datasets.Value("float32"), {"file": datasets.Value("string")}, file=["a"] * 9)
    assert "no column is clearly the label. Say ?label=NAME; there is 'file'" in problem("unsure", train=unsure)


@pytest.mark.parametrize("name", ["parquet", "imagefolder"])
def test_a_folder_named_like_a_form_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the current directory, which is what such a name means to the library."""
    meant = {"train": table(20)}
    expected = load(parquet(tmp_path / "other", meant)).info.fingerprint
    here = parquet(tmp_path / "here", {"train": table(40)})
    parquet(here / name, meant)
    monkeypatch.chdir(here)
    for uri in (f"./{name}", name, here / name):
        assert load(uri).info.fingerprint == expected


def test_the_name_of_a_form_of_files_is_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parquet(tmp_path / "here", {"train": table(40)}))
    with pytest.raises(DataError, match="'parquet' is the name of a form of files, not of a set"):
        load("parquet")


def test_what_is_not_there_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    saved(tmp_path / "insects", train=table(9))
    with pytest.raises(DataError, match=r"there is no folder .*insect\. Did you mean '.*insects'\?"):
        load(tmp_path / "insect")
    with pytest.raises(DataError, match=r"'you/birds' is not in the cache .*datasets\.load_dataset\('you/birds'\)"):
        load("you/birds")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty' cannot be opened"):
        load(tmp_path / "empty")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(DataError, match="No code of a set is run"):
        load(tmp_path / "code")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.csv").write_text("image,label\n")
    with pytest.raises(DataError, match="kept in csv form, which is not read here"):
        load(tmp_path / "text")
    parquet(tmp_path / "damaged", {"train": table(9)})
    file = next((tmp_path / "damaged").iterdir())
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="damaged' cannot be opened"):
        load(tmp_path / "damaged")
    with pytest.raises(DataError, match=r"BuilderConfig 'x' not found.*Choose one"):
        load(f"{parquet(tmp_path / 'pq', {'train': table(9)})}?config=x")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[hf\]'"):
        load("mnist")


def test_labels_of_yes_and_no(tmp_path: Path) -> None:
    yes_or_no = table(40, datasets.Value("bool"), label=[index % 2 == 0 for index in range(40)])
    task = load(saved(tmp_path / "set", train=yes_or_no))
    assert task.info.class_names == ("0", "1")
    other = yes_or_no.rename_column("label", "is_ripe")
    assert load(f"{saved(tmp_path / 'other', train=other)}?label=is_ripe").info.num_train == 32


def test_images_of_files_that_do_not_say_that_they_are(tmp_path: Path) -> None:
    """As `{bytes, path}`, which other programs than `datasets` write."""
    struct = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    plain = datasets.Dataset.from_dict(
        {"image": [png() for _ in range(30)], "label": [index % 3 for index in range(30)]},
        features=datasets.Features({"image": struct, "label": datasets.Value("int64")}),
    )
    task = load(parquet(tmp_path / "set", {"train": plain}))
    assert (task.info.num_train, task.image_shape) == (24, (6, 5, 3))


def test_equal_files_in_two_splits_are_said(tmp_path: Path) -> None:
    train, test = table(40), table(12)
    assert load(saved(tmp_path / "apart", train=train, test=test)).notes == ()
    more = datasets.concatenate_datasets([test, train.select([1, 2])])
    folder = saved(tmp_path / "x", train=train, test=more)
    for _ in range(2):  # the second time from the cache
        assert load_task(f"hf:{folder}", cache_dir=str(tmp_path / "kept")).notes == (
            "2 of 14 test images are also in train (equal files).",
        )
