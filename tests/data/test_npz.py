from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from munet.data.tasks import load_task
from munet.errors import DataError

RNG = np.random.default_rng(0)


def _save(path: Path, **changes: object) -> str:
    arrays = {"images": RNG.integers(0, 256, (40, 6, 5), np.uint8), "labels": np.repeat(np.arange(4), 10), **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]  # stubs want allow_pickle first
    return f"npz:{path}"


def test_a_class_sorted_file_is_safe(tmp_path: Path) -> None:
    task = load_task(_save(tmp_path / "shapes.npz"))
    assert task.info.name == "shapes"
    assert task.image_shape == (6, 5, 1)
    assert task.info.class_names == ("0", "1", "2", "3")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (32, 4, 4)
    with task.testing():
        assert sorted(task.split("test").labels) == [0, 1, 2, 3]


def test_an_array_that_only_claims_to_be_large_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 4000, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue())
        labels = io.BytesIO()
        np.save(labels, np.arange(9))
        archive.writestr("labels.npy", labels.getvalue())
    with pytest.raises(DataError, match=r"images should have 12,000,000,000,000 bytes by its header, the file holds 0"):
        load_task(f"npz:{tmp_path}/x.npz")


def test_class_names(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat", "dog", "never seen"])
    task = load_task(_save(tmp_path / "a.npz", class_names=names))
    assert task.info.class_names == ("ant", "bee", "cat", "dog", "never seen")


@pytest.mark.parametrize(("channels", "expected"), [(1, 1), (3, 3), (4, 3)])
def test_channels(tmp_path: Path, channels: int, expected: int) -> None:
    images = RNG.integers(0, 256, (40, 6, 5, channels), np.uint8)
    assert load_task(_save(tmp_path / "a.npz", images=images)).image_shape == (6, 5, expected)


def test_equal_channels_become_one(tmp_path: Path) -> None:
    images = np.repeat(RNG.integers(0, 256, (40, 6, 5, 1), np.uint8), 3, axis=-1)
    assert load_task(_save(tmp_path / "a.npz", images=images)).image_shape == (6, 5, 1)


def test_large_images_are_squashed(tmp_path: Path) -> None:
    uri = _save(tmp_path / "a.npz", images=RNG.integers(0, 256, (40, 50, 20), np.uint8))
    assert load_task(uri, max_image_size=16).image_shape == (32, 32, 1)
    assert load_task(uri).image_shape == (50, 20, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "no array 'images'"),
        ({"labels": None}, "no array 'labels'"),
        ({"images": np.zeros((40, 6, 5), np.float32)}, "images is float32"),
        ({"images": np.zeros((40, 6, 5, 2), np.uint8)}, r"uint8 \[40, 6, 5, 2\], expected"),
        ({"images": np.zeros((40, 6), np.uint8)}, "images is uint8"),
        ({"images": np.zeros((40, 0, 5), np.uint8)}, "images is uint8"),
        ({"labels": np.zeros(40)}, "labels is float64"),
        ({"labels": np.zeros((40, 1), np.int64)}, "labels is int64"),
        ({"labels": np.zeros(39, np.int64)}, "40 images but 39 labels"),
        ({"labels": np.full(40, 3)}, "all 40 images are of class 3"),
        ({"labels": np.arange(40) - 1}, "label -1 at index 0"),
        ({"labels": np.arange(40) * 10_000}, "label 390,000 is too large"),
        ({"labels": np.full(40, 2**63, np.uint64)}, "too large"),
        ({"class_names": np.array(["a", "b"])}, "label 2 at index 20"),
        ({"class_names": np.arange(4)}, "class_names is int64"),
        ({"images": np.empty((0, 6, 5), np.uint8), "labels": np.empty(0, np.int64)}, "no train"),
        ({"images": np.zeros((4, 6, 5), np.uint8), "labels": np.arange(4)}, "no validation and no test"),
        ({"labels": np.array([None] * 40)}, "nothing is unpickled"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_task(_save(tmp_path / "bad.npz", **changes))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    uri = _save(tmp_path / "faces.npz")
    with pytest.raises(DataError, match=r"there is no file .*face\.npz\. Did you mean 'faces\.npz'\?"):
        load_task(f"npz:{tmp_path / 'face.npz'}")
    with pytest.raises(DataError, match=rf"is a folder, .*Did you mean folder:{tmp_path}\?"):
        load_task(f"npz:{tmp_path}")
    np.savez(tmp_path / "others.npz", pixels=np.zeros(3), labels=np.zeros(3, np.int64))
    with pytest.raises(DataError, match=r"no array 'images'\. It has: labels, pixels\."):
        load_task(f"npz:{tmp_path / 'others.npz'}")
    path = tmp_path / "faces.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as npz"):
        load_task(uri)
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="cannot be read as npz"):
        load_task(uri)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as npz"):
        load_task(uri)
    damaged = bytearray(whole)
    damaged[300] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be read as npz"):
        load_task(uri)
    np.save(tmp_path / "single", np.zeros(3))
    with pytest.raises(DataError, match="it is no zip file"):
        load_task(f"npz:{tmp_path / 'single.npy'}")
