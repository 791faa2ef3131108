"""Data and caches in a bucket, tried on `memory://`: they load as those on disk do, and a new machine finds them."""

from __future__ import annotations

import logging
from pathlib import Path

import fsspec
import numpy as np
import pytest

from munet.data import cache, places, uris
from munet.data.tasks import load_task
from munet.errors import DataError, UserError
from tests.data.folder.test_folder import fill, pixels_of


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_machine(tmp_path, monkeypatch, 0)


def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Another disk, the same bucket."""
    monkeypatch.setenv("MUNET_LOCAL_DIR", str(tmp_path / f"disk{number}"))


def upload(place: Path, url: str) -> None:
    store, root = fsspec.core.url_to_fs(url)
    for path in place.rglob("*"):
        if path.is_file():
            store.pipe_file(f"{root}/{path.relative_to(place)}", path.read_bytes())


def test_a_folder_in_a_bucket_is_the_same_task(tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"a": 12, "b": 12})
    upload(tmp_path / "birds", f"memory://{tmp_path}/birds")
    here = load_task(f"folder:{tmp_path / 'birds'}", cache_dir="off")
    there = load_task(f"folder:memory://{tmp_path}/birds", cache_dir="off")
    assert there.info.name == "birds"
    assert there.info.fingerprint == here.info.fingerprint
    assert pixels_of(there) == pixels_of(here)


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_urls_of_this_disk_are_paths(scheme: str, tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"a": 12, "b": 12})
    here = load_task(f"folder:{tmp_path / 'birds'}", cache_dir="off")
    assert load_task(f"folder:{scheme}{tmp_path}/birds", cache_dir="off").info.fingerprint == here.info.fingerprint
    assert cache.cache_folder(f"{scheme}{tmp_path}/cache") == tmp_path / "cache"


def test_a_table_of_labels_in_a_bucket(tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"images": 24})
    rows = [f"images/{number}.png,{'ab'[number % 2]}" for number in range(24)]
    (tmp_path / "birds" / "table.csv").write_text("\n".join(["path,label", *rows]))
    upload(tmp_path / "birds", f"memory://{tmp_path}/birds")
    here = load_task(f"folder:{tmp_path}/birds/table.csv", cache_dir="off")
    there = load_task(f"folder:memory://{tmp_path}/birds/table.csv", cache_dir="off")
    assert there.info.class_names == ("a", "b")
    assert there.info.fingerprint == here.info.fingerprint


def test_an_npz_in_a_bucket(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6), np.uint8)
    np.savez(tmp_path / "birds.npz", images=images, labels=np.arange(40) % 2)
    upload(tmp_path, f"memory://{tmp_path}/data")
    here = load_task(f"npz:{tmp_path}/birds.npz", cache_dir="off")
    there = load_task(f"npz:memory://{tmp_path}/data/birds.npz", cache_dir="off")
    assert there.info.name == "birds"
    assert there.info.fingerprint == here.info.fingerprint


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    fill(tmp_path / "birds", {"a": 2, "b": 2})
    upload(tmp_path / "birds", f"memory://{tmp_path}/birds")
    with pytest.raises(DataError, match=r"there is nothing at memory://.*/bird\. Did you mean 'birds'"):
        load_task(f"folder:memory://{tmp_path}/bird")
    with pytest.raises(DataError, match="there is nothing at"):
        load_task(f"npz:memory://{tmp_path}/none/x.npz")


def test_a_url_is_no_relative_path() -> None:
    assert uris.relative_path("folder:gs://bucket/birds") == ""
    assert uris.from_folder("folder:gs://bucket/birds", "/somewhere") == "folder:gs://bucket/birds"


class Builder:
    """Counts how often arrays are built."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: object) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"images": np.arange(12, dtype=np.uint8).reshape(3, 4)}


@pytest.mark.parametrize("cached", [cache.cached_arrays, cache.cached_large_arrays])
def test_a_new_machine_decodes_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(cached)
    url, build = f"memory://{tmp_path}/cache", Builder()
    for number in range(2):
        new_machine(tmp_path, monkeypatch, number)
        np.testing.assert_array_equal(cached(url, "key", build)["images"], Builder()()["images"])
    assert build.calls == 1
    assert not Path("memory:").exists()
    assert not caplog.records
    store, root = fsspec.core.url_to_fs(f"{url}/data/key/images.npy")
    store.pipe_file(root, b"damaged")
    new_machine(tmp_path, monkeypatch, 2)
    with caplog.at_level(logging.CRITICAL):
        cached(url, "key", build)
    assert build.calls == 2


def test_a_bucket_that_does_not_answer_makes_it_slower_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*_: object, **__: object) -> None:
        raise OSError("503")

    for name in ("cat_file", "pipe_file", "exists"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    build = Builder()
    with caplog.at_level(logging.WARNING):
        assert "images" in cache.cached_arrays(f"memory://{tmp_path}/cache", "key", build)
    assert build.calls == 1
    assert "is done without: 503" in caplog.text


def test_where_the_copy_of_a_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.cache_folder("gs://bucket/cache")
    assert folder is not None
    assert folder.parent == tmp_path / "disk0" / "buckets"
    assert folder.name.startswith("cache-")
    assert cache.remote_cache("gs://bucket/cache/") == "gs://bucket/cache"
    monkeypatch.setenv("MUNET_CACHE_DIR", "gs://bucket/other")
    assert cache.remote_cache("") == "gs://bucket/other"
    assert cache.remote_cache("off") == cache.remote_cache("/disk") == ""
    monkeypatch.delenv("MUNET_LOCAL_DIR")
    assert places.local_dir() == Path("~/.cache/munet").expanduser()


def test_what_is_needed_to_read_a_bucket_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("no gcsfs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match="the extra `gcs`"):
        load_task("folder:gs://bucket/birds")
