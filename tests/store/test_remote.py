"""Work directories in object stores, tried on fsspec's `memory://`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from munet.errors import CorruptionError, UserError, WorkdirError
from munet.store import Journal, Store
from munet.store.folders import open_folder
from tests.store.samples import entry, put_published, records_of


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A place of its own in the memory that all tests share."""
    return f"memory://{tmp_path}/run"


def test_a_run_from_start_to_reading(url: str) -> None:
    store = Store.create_or_open(url)
    with store.lock():
        store.remove_leftovers()
        for index in range(3):
            put_published(store.components, index)
            put_published(store.components, index)
            store.journal.append(entry(index))
        store.snapshots.save(3, store.journal.head_hash, {"n": 3})
    reader = Store.open(url)
    assert list(reader.journal.entries()) == [entry(index) for index in range(3)]
    assert reader.snapshots.latest(reader.journal) == (3, {"n": 3})
    named = {identity for value in reader.journal.entries() for identity in records_of(value)}
    assert reader.components.ids() == named
    for identity in named:
        reader.components.verify(identity)
    with pytest.raises(RuntimeError, match="lock"):
        reader.components.delete(named)
    with store.lock():
        store.components.delete(named)
    assert reader.components.ids() == set()
    with pytest.raises(CorruptionError, match="is missing"):
        reader.components.get(named.pop())


def test_nothing_there(url: str) -> None:
    with pytest.raises(WorkdirError, match="There is no run in memory://"):
        Store.open(url)


def test_a_second_writer_of_the_same_entry_is_refused(url: str) -> None:
    first, second = Journal(f"{url}/journal"), Journal(f"{url}/journal")
    first.append(entry(0), at=0)
    assert (len(first), len(second)) == (1, 1)
    first.append(entry(1), at=1)
    with pytest.raises(WorkdirError, match=r"memory://.*/journal/00000001.json was written by another process"):
        second.append(entry(2), at=1)
    assert list(Journal(first.path).entries()) == [entry(0), entry(1)]


def test_a_put_sent_again_because_its_answer_was_lost_is_no_conflict(url: str) -> None:
    place = open_folder(url)
    place.create("one", b"1")
    place.create("one", b"1")
    with pytest.raises(FileExistsError):
        place.create("one", b"2")


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_missing_extra_is_named() -> None:
    with pytest.raises(UserError, match=r"gs://bucket/run/components: gs:// cannot be used yet.*the extra `gcs`"):
        Store.open("gs://bucket/run")


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(UserError, match="no such kind of place"):
        Store.open("nowhere://bucket/run")


def test_local_runs_do_not_pay_for_fsspec_or_jax() -> None:
    code = "import sys, munet.store as s; s.Store('x'); print({'fsspec', 'jax'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
