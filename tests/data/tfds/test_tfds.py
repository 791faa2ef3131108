from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from munet.data.open_settings import OpenSettings
from munet.data.splits import SPLITS, Split, SplitName
from munet.data.tasks import Task, load_task, open_task
from munet.data.tfds import prepared_set
from munet.errors import DataError
from tests.data.test_streamed import assert_streams_the_same

RNG = np.random.default_rng(0)
Examples = Mapping[str, Sequence[tuple[np.ndarray, int]]]


def _prepare(
    root: Path, name: str, splits: Examples, *, shape: tuple[int | None, ...], num_classes: int, version: str = "1.0.0"
) -> Path:
    """Writes a prepared set as TFDS would, without TensorFlow."""
    folder = root / name / version
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(num_classes=num_classes)}
    )
    features.save_config(str(folder))
    base = name.split("/")[0]
    for split, examples in splits.items():
        writer = ArrayRecordWriter(str(folder / f"{base}-{split}.array_record-00000-of-00001"), "group_size:1")
        for image, label in examples:
            file = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, format="PNG")
            example = tf_example_pb2.Example()
            example.features.feature["image"].bytes_list.value.append(file.getvalue())
            example.features.feature["label"].int64_list.value.append(label)
            writer.write(example.SerializeToString())
        writer.close()
    info = {
        "name": base,
        "version": version,
        "fileFormat": "array_record",
        "splits": [
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(len(examples))],
            }
            for split, examples in splits.items()
        ],
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def _examples(
    count: int, shape: tuple[int, int, int] = (6, 6, 3), num_classes: int = 4
) -> list[tuple[np.ndarray, int]]:
    return [(RNG.integers(0, 256, shape, np.uint8), index % num_classes) for index in range(count)]


def _load(root: Path, uri: str, max_image_size: int = 64) -> Task:
    return load_task(uri, data_dir=str(root), cache_dir=str(root / "cache"), max_image_size=max_image_size)


def _splits(task: Task) -> dict[SplitName, Split]:
    with task.testing():
        return {name: task.split(name) for name in SPLITS}


def test_default_splits_hold_the_pixels_in_order(tmp_path: Path) -> None:
    splits = {"train": _examples(100), "test": _examples(12)}
    _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    task = _load(tmp_path, "tfds:toy")
    assert (task.info.name, task.info.num_train, task.info.num_validation, task.info.num_test) == ("toy", 95, 5, 12)
    expected = {"train": splits["train"][5:], "validation": splits["train"][:5], "test": splits["test"]}
    for _ in range(2):  # decoded, then from the cache
        for name, split in _splits(task).items():
            np.testing.assert_array_equal(split.images, np.stack([image for image, _ in expected[name]]))
            assert split.labels.tolist() == [label for _, label in expected[name]]
            assert split.labels.dtype == np.int32
        task = _load(tmp_path, "tfds:toy")


def test_split_notation(tmp_path: Path) -> None:
    splits = {"train": _examples(100), "extra": _examples(10)}
    _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    task = _load(tmp_path, "tfds:toy?train=train[10:50]+extra&validation=train[:10]&test=train[50%:]")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (50, 10, 50)
    np.testing.assert_array_equal(task.split("train").images[-1], splits["extra"][-1][0])


def test_fingerprint_depends_on_the_splits_and_the_version(tmp_path: Path) -> None:
    splits = {"train": _examples(100), "test": _examples(12)}
    _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    first = _load(tmp_path, "tfds:toy").info.fingerprint
    assert _load(tmp_path, "tfds:toy").info.fingerprint == first
    assert _load(tmp_path, "tfds:toy?train=train[10%:]").info.fingerprint != first
    _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4, version="1.10.0")
    _prepare(tmp_path, "toy", {"train": _examples(20)}, shape=(6, 6, 3), num_classes=4, version="1.9.0")
    newest = _load(tmp_path, "tfds:toy")
    assert newest.info.fingerprint != first
    assert newest.info.num_test == 12


def test_grey_splits_have_one_channel_only_if_all_do(tmp_path: Path) -> None:
    grey = [(np.repeat(image, 3, axis=-1), label) for image, label in _examples(40, (6, 6, 1))]
    _prepare(tmp_path, "grey", {"train": grey, "test": grey}, shape=(6, 6, 3), num_classes=4)
    _prepare(tmp_path, "mixed", {"train": grey, "test": _examples(8)}, shape=(6, 6, 3), num_classes=4)
    assert _load(tmp_path, "tfds:grey").image_shape == (6, 6, 1)
    mixed = _load(tmp_path, "tfds:mixed")
    assert {split.images.shape[-1] for split in _splits(mixed).values()} == {3}
    np.testing.assert_array_equal(mixed.split("validation").images[0], grey[0][0])


def test_images_of_varying_size_are_squashed(tmp_path: Path) -> None:
    examples = [*_examples(30, (9, 4, 3)), *_examples(30, (5, 50, 3))]
    _prepare(tmp_path, "photos", {"train": examples, "test": examples}, shape=(None, None, 3), num_classes=4)
    assert _load(tmp_path, "tfds:photos", max_image_size=16).image_shape == (32, 32, 3)
    assert _load(tmp_path, "tfds:photos", max_image_size=32).image_shape == (64, 64, 3)


def test_the_option_canvas_goes_before_the_image_sizes(tmp_path: Path) -> None:
    examples = [*_examples(30, (9, 4, 3)), *_examples(30, (5, 50, 3))]
    _prepare(tmp_path, "photos", {"train": examples, "test": examples}, shape=(None, None, 3), num_classes=4)
    small = _load(tmp_path, "tfds:photos?canvas=12", max_image_size=32)
    assert small.image_shape == (12, 12, 3)
    assert small.info.fingerprint != _load(tmp_path, "tfds:photos", max_image_size=32).info.fingerprint
    for wrong in ("0", "-3", "1.5", "9999999", "x"):
        with pytest.raises(DataError, match=f"canvas={wrong}: expected pixels on a side, 1 to 4,096"):
            _load(tmp_path, f"tfds:photos?canvas={wrong}")


def test_a_set_that_is_not_prepared_says_how_to_prepare_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"'mnist' is not prepared in {tmp_path}. Nothing is prepared there"):
        _load(tmp_path, "tfds:mnist")
    for name in ("toy", "group/toy"):
        _prepare(tmp_path, name, {"train": _examples(40), "test": _examples(8)}, shape=(6, 6, 3), num_classes=4)
    with pytest.raises(DataError, match=r"Did you mean 'group/toy'[^$]*TFDS cannot make group/tow: .* copy its folder"):
        _load(tmp_path, "tfds:group/tow")
    command = f"tfds build cmaterdb/bangla --file_format=array_record --data_dir={tmp_path}"
    with pytest.raises(DataError, match=rf"\[tfds-prepare\][^$]*{command}"):
        _load(tmp_path, "tfds:cmaterdb/bangla")
    with pytest.raises(DataError, match="TFDS cannot make cmaterdb/bengla: Did you mean 'bangla'"):
        _load(tmp_path, "tfds:cmaterdb/bengla")
    with pytest.raises(DataError, match="Prepared there: group/toy, toy"):
        _load(tmp_path, "tfds:svhn_cropped")


def test_where_prepared_sets_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert str(prepared_set.sets_folder("")) == str(tmp_path)
    assert str(prepared_set.sets_folder("/data")) == "/data"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert str(prepared_set.sets_folder("")) == str(Path("~/tensorflow_datasets").expanduser())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?train=trein", r"split 'trein' cannot be read.*train \(40\), test \(8\)"),
        ("?train=train[5%", r"split 'train\[5%' cannot be read"),
        ("?train=train[99:]", "cannot be read"),
        ("?validation=train[:1%]", "no validation images"),
        ("?tran=train", "no option 'tran'. Did you mean 'train'"),
        ("?split=clean", "no option 'split'"),
        ("?train", "not of the form name=value"),
        ("?train=a&train=b", "each name once"),
    ],
)
def test_wrong_splits_are_refused(tmp_path: Path, options: str, message: str) -> None:
    _prepare(tmp_path, "toy", {"train": _examples(40), "test": _examples(8)}, shape=(6, 6, 3), num_classes=4)
    with pytest.raises(DataError, match=message):
        _load(tmp_path, f"tfds:toy{options}")


def test_a_set_without_a_test_split_lists_what_there_is(tmp_path: Path) -> None:
    _prepare(tmp_path, "toy", {"train": _examples(40), "valid": _examples(8)}, shape=(6, 6, 3), num_classes=4)
    (note,) = _load(tmp_path, "tfds:toy").notes
    assert "train[36:40] is taken out of training. The set has the splits train (40), valid (8)" in note


def test_labels_out_of_range_and_one_class_are_refused(tmp_path: Path) -> None:
    _prepare(tmp_path, "wild", {"train": _examples(40), "test": _examples(8)}, shape=(6, 6, 3), num_classes=3)
    with pytest.raises(DataError, match="label 3 at index"):
        _load(tmp_path, "tfds:wild").split("train")
    single = _examples(40, num_classes=1)
    _prepare(tmp_path, "single", {"train": single, "test": single}, shape=(6, 6, 3), num_classes=1)
    with pytest.raises(DataError, match="1 class, a task needs at least 2"):
        _load(tmp_path, "tfds:single")
    _prepare(tmp_path, "same", {"train": single, "test": single}, shape=(6, 6, 3), num_classes=3)
    with pytest.raises(DataError, match="all 38 images are of class 0"):
        _load(tmp_path, "tfds:same").split("train")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    splits = {"train": _examples(40), "test": _examples(8)}
    folder = _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    records = folder / "toy-test.array_record-00000-of-00001"
    whole = records.read_bytes()
    middle = len(whole) // 2
    records.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    with pytest.raises(DataError, match="is damaged"):
        _splits(_load(tmp_path, "tfds:toy"))
    records.unlink()
    with pytest.raises(DataError, match=r"toy-test\.array_record-00000-of-00001 is missing"):
        _load(tmp_path, "tfds:toy")
    (folder / "features.json").write_text("{")
    with pytest.raises(DataError, match="cannot be opened"):
        _load(tmp_path, "tfds:toy")


def test_other_file_formats_are_refused(tmp_path: Path) -> None:
    splits = {"train": _examples(40), "test": _examples(8)}
    info = _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4) / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(DataError, match="is in tfrecord form, expected array_record"):
        _load(tmp_path, "tfds:toy")


def test_real_telugu(shared_tfds: Path, tmp_path: Path) -> None:
    task = load_task("tfds:cmaterdb/telugu", data_dir=str(shared_tfds), cache_dir=str(tmp_path))
    assert task.info.class_names == tuple("0123456789")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (2375, 125, 500)
    assert task.image_shape == (32, 32, 1)
    source = tfds.builder_from_directory(shared_tfds / "cmaterdb" / "telugu" / "1.0.0").as_data_source(
        "test", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for index in (0, 123, 499):
        with Image.open(io.BytesIO(source[index]["image"])) as image:
            expected = np.asarray(image.convert("RGB"))
        test = _splits(task)["test"]
        np.testing.assert_array_equal(np.repeat(test.images[index], 3, -1), expected)
        assert test.labels[index] == source[index]["label"]


def test_sizes_of_real_sets_are_those_of_the_paper(shared_tfds: Path) -> None:
    # Nothing is decoded for these.
    expected = {
        "tfds:mnist": (57_000, 3_000, 10_000),
        "tfds:cmaterdb/bangla": (4_750, 250, 1_000),
        "tfds:omniglot": (22_722, 3_246, 6_492),
        "tfds:omniglot?split=clean": (22_722, 3_246, 6_492),
        "tfds:omniglot?split=paper": (19_280, 2_720, 3_120),
        "tfds:omniglot?train=train[:90%]&validation=train[90%:]&test=small1": (17_352, 1_928, 2_720),
    }
    for uri, sizes in expected.items():
        info = load_task(uri, data_dir=str(shared_tfds), cache_dir="off").info
        assert (info.num_train, info.num_validation, info.num_test) == sizes, uri
        assert info.num_classes == (1623 if info.name == "omniglot" else 10)


@pytest.mark.parametrize("options", ["?split=clear", "?split=clean&train=train"])
def test_wrong_omniglot_options(shared_tfds: Path, options: str) -> None:
    with pytest.raises(DataError, match=r"Did you mean 'clean'|give either split="):
        load_task(f"tfds:omniglot{options}", data_dir=str(shared_tfds), cache_dir="off")


@pytest.mark.slow
def test_clean_omniglot_has_14_2_4_drawings_of_every_character(shared_tfds: Path, tmp_path: Path) -> None:
    task = load_task("tfds:omniglot", data_dir=str(shared_tfds), cache_dir=str(tmp_path))
    assert task.image_shape == (105, 105, 1)
    for name, drawings in zip(SPLITS, (14, 2, 4), strict=True):
        assert (np.bincount(_splits(task)[name].labels, minlength=1623) == drawings).all()
    contents = [{image.tobytes() for image in split.images} for split in _splits(task).values()]
    assert not contents[0] & contents[1] | contents[0] & contents[2] | contents[1] & contents[2]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (tfds.features.Sequence(tfds.features.ClassLabel(num_classes=4)), "'label' holds several labels an image"),
        (tfds.features.Sequence({"is": tfds.features.ClassLabel(num_classes=4)}), r"several labels .*\(multi-label\)"),
        (tfds.features.Scalar(np.float32), "'label' is a real number, as of a regression, and munet classifies"),
    ],
)
def test_sets_of_other_tasks_are_refused(feature: Any, message: str, tmp_path: Path) -> None:
    splits = {"train": _examples(40), "test": _examples(8)}
    folder = _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(6, 6, 3)), "label": feature})
    features.save_config(str(folder))
    with pytest.raises(DataError, match=f"no image classification set: it has the images .*{message}"):
        _load(tmp_path, "tfds:toy")


@pytest.mark.parametrize(
    ("train", "shape", "canvas"),
    [
        ([(6, 6, 3)], (6, 6, 3), 64),
        ([(6, 6, 1)], (6, 6, 1), 64),
        ([(5, 7, 3), (20, 9, 3)], (None, None, 3), 4),
    ],
)
def test_streamed_it_is_the_same(
    tmp_path: Path, train: list[tuple[int, int, int]], shape: tuple[int | None, ...], canvas: int
) -> None:
    examples = [example for size in train for example in _examples(60, size)]
    _prepare(tmp_path, "toy", {"train": examples, "test": examples[:8]}, shape=shape, num_classes=4)
    task = assert_streams_the_same(
        "tfds:toy?train=train[10%:]&validation=train[:10%]",
        data_dir=str(tmp_path),
        cache_dir=str(tmp_path / "cache"),
        max_image_size=canvas,
    )
    assert not [path for path in (tmp_path / "cache").rglob("*images.npy") if path.stat().st_size > 10_000_000]
    assert task.info.num_train == 54 * len(train)


def test_streamed_grey_splits_have_one_channel_only_if_all_do(tmp_path: Path) -> None:
    grey = [(np.repeat(image, 3, axis=-1), label) for image, label in _examples(40, (6, 6, 1))]
    _prepare(tmp_path, "grey", {"train": grey, "test": grey}, shape=(6, 6, 3), num_classes=4)
    _prepare(tmp_path, "mixed", {"train": grey, "test": _examples(8)}, shape=(6, 6, 3), num_classes=4)
    for name, channels in (("grey", 1), ("mixed", 3)):
        task = assert_streams_the_same(f"tfds:{name}", data_dir=str(tmp_path), cache_dir="off")
        assert task.image_shape == (6, 6, channels)


def test_a_damaged_image_of_a_streamed_set_is_told_when_it_is_decoded(tmp_path: Path) -> None:
    examples = _examples(100)
    examples[10] = (np.zeros((9, 9, 3), np.uint8), 1)
    _prepare(tmp_path, "toy", {"train": examples, "test": examples[:10]}, shape=(6, 6, 3), num_classes=4)
    task = open_task("tfds:toy?train=train&validation=test", OpenSettings(str(tmp_path), "off", max_resident=0))
    np.testing.assert_array_equal(task.split("train").images[9], examples[9][0])
    with pytest.raises(DataError, match=r"an image of 9 x 9 pixels, expected 6 x 6.*Prepare the set anew"):
        task.split("train").images[10]


def test_a_damaged_file_of_a_streamed_set_is_seen_in_the_first_pass(tmp_path: Path) -> None:
    splits = {"train": _examples(40), "test": _examples(8)}
    folder = _prepare(tmp_path, "toy", splits, shape=(6, 6, 3), num_classes=4)
    records = folder / "toy-test.array_record-00000-of-00001"
    whole = records.read_bytes()
    middle = len(whole) // 2
    records.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    with pytest.raises(DataError, match=r"split 'test' in .* is damaged .*Prepare the set anew"):
        open_task("tfds:toy", OpenSettings(str(tmp_path), "off", max_resident=0)).split("train")


@pytest.mark.slow
def test_real_sets_stream_the_same(shared_tfds: Path, tmp_path: Path) -> None:
    for uri in ("tfds:omniglot?split=clean", "tfds:cmaterdb/bangla"):
        assert_streams_the_same(uri, data_dir=str(shared_tfds), cache_dir=str(tmp_path))
