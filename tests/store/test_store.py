"""The work directory: who may use it, what it may not be, and that failing to open it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from munet.errors import CorruptionError, DiskFullError, UserError, WorkdirError
from munet.store import Store
from munet.store.journal import NEWEST_VERSION
from munet.types import StartEntry
from tests.store import journal_files
from tests.store.samples import entry, put_published

HOLD = """
import sys, time
from munet.store import Store
with Store.create_or_open(sys.argv[1]).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


@pytest.fixture
def run(workdir: Path) -> Path:
    """A work directory with two entries."""
    store = Store.create_or_open(workdir)
    with store.lock():
        for index in range(2):
            put_published(store.components, index)
            store.journal.append(entry(index))
    return workdir


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", HOLD, str(workdir)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_was_written_is_read(run: Path) -> None:
    assert list(Store.open(run).journal.entries()) == [entry(0), entry(1)]
    assert list(Store.create_or_open(str(run) + "/").journal.entries()) == [entry(0), entry(1)]
    assert len(Store.open(f"file://{run}").components.ids()) == 4


def test_a_living_process_keeps_others_out_until_it_is_killed(run: Path) -> None:
    with held(run) as process:
        with (
            pytest.raises(WorkdirError, match=rf"in use by process {process.pid} on {socket.gethostname()}"),
            Store.create_or_open(run).lock(),
        ):
            pass
        assert len(Store.open(run).journal) == 2, "readers need no lock"
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Store.create_or_open(run).lock():
            assert (run / "lock").read_text().split()[:2] == [str(os.getpid()), socket.gethostname()]


def test_the_same_process_locks_once(run: Path) -> None:
    with Store.create_or_open(run).lock():
        with (
            pytest.raises(WorkdirError, match=f"in use by process {os.getpid()} "),
            Store.create_or_open(run).lock(),
        ):
            pass
        with pytest.raises(WorkdirError), Store.create_or_open(run).lock():
            pass
    with Store.create_or_open(run).lock():
        pass


def test_a_refused_lock_takes_nothing_from_the_holder(workdir: Path) -> None:
    with Store.create_or_open(workdir).lock():
        (workdir / ".tmp-1-mine").write_bytes(b"being written")
        with pytest.raises(WorkdirError), Store.create_or_open(workdir).lock():
            pass
        assert (workdir / ".tmp-1-mine").exists()


def test_a_lock_file_removed_by_the_last_holder_is_not_locked(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    real, calls = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        calls.append(operation)
        if len(calls) == 1:  # between our open and our lock, the holder ended and cleared away
            (workdir / "lock").unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with Store.create_or_open(workdir).lock():
        assert len(calls) == 2
        with pytest.raises(WorkdirError, match="in use"), Store.create_or_open(workdir).lock():
            pass


def test_leftovers_go_under_the_lock_only(run: Path) -> None:
    leftovers = [run / ".tmp-7-x", run / "components" / ".tmp-7-x", run / "journal" / ".tmp-7-00000002.json"]
    for path in leftovers:
        path.write_bytes(b"half")
    store = Store.create_or_open(run)
    with pytest.raises(RuntimeError, match="lock"):
        store.remove_leftovers()
    assert all(path.exists() for path in leftovers)
    assert len(Store.open(run).journal) == 2
    with store.lock():
        assert not any(path.exists() for path in leftovers)
    assert len(store.components.ids()) == 4


def test_opening_for_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(WorkdirError, match=r"There is no run in .*evolve --workdir="):
        Store.open(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkdirError, match="There is no run in"):
        Store.open(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_where_there_is_no_run_one_is_suggested_only_where_it_could_start(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("other things")
    with pytest.raises(WorkdirError, match="other things"):
        Store.create_or_open(tmp_path / "full")
    for path in (tmp_path / "full", tmp_path / "full" / "notes.txt"):
        with pytest.raises(WorkdirError, match=r"evolve --workdir=DIR` starts one in a new or empty directory"):
            Store.open(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkdirError, match=rf"evolve --workdir={tmp_path}/empty`"):
        Store.open(tmp_path / "empty")


def test_the_nearest_run_is_named(run: Path) -> None:
    with pytest.raises(WorkdirError, match=f"Did you mean '{run}'"):
        Store.open(run.parent / "on")
    with pytest.raises(WorkdirError, match=f"{run}"):
        Store.open(run.parent)


def test_a_run_that_stored_nothing_leaves_nothing(tmp_path: Path, workdir: Path) -> None:
    with Store.create_or_open(workdir).lock():
        assert (workdir / "lock").exists()
    assert not list(tmp_path.iterdir())


def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    with Store.create_or_open(tmp_path).lock():
        pass
    assert tmp_path.is_dir()
    assert not list(tmp_path.iterdir())


def test_components_without_a_journal_are_a_run_to_go_on_with(workdir: Path) -> None:
    store = Store.create_or_open(workdir)
    with store.lock():
        put_published(store.components, 0)
    with pytest.raises(WorkdirError, match="There is no run"):
        Store.open(workdir)
    store = Store.create_or_open(workdir)
    with store.lock():
        store.journal.append(entry(0))
    assert len(Store.open(workdir).journal) == 1


def test_a_directory_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(b"")
    with pytest.raises(WorkdirError, match=r"holds other things \(thesis.tex.*new or empty directory"):
        Store.create_or_open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(WorkdirError, match="is a file"):
        Store.create_or_open(tmp_path / "thesis.tex")


@pytest.mark.parametrize("name", ["lock", "log.jsonl", "in_flight", "baselines", ".tmp-1-x", "lost+found"])
def test_what_a_killed_start_leaves_is_no_obstacle(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with Store.create_or_open(tmp_path).lock():
        pass


def test_below_a_file_there_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkdirError, match="cannot be written"), Store.create_or_open(tmp_path / "file" / "run").lock():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_no_lock(tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskFullError), Store.create_or_open(workdir).lock():
            pass
    assert not list(tmp_path.iterdir())


def test_a_newer_format_is_refused(workdir: Path) -> None:
    start = entry(0)
    assert isinstance(start, StartEntry)
    store = Store(workdir)
    store.journal.append(replace(start, format_version=NEWEST_VERSION + 1))
    before = sorted(workdir.rglob("*"))
    for function in (Store.open, Store.create_or_open):
        with pytest.raises(WorkdirError, match=r"format version 5, this munet reads up to 4"):
            function(workdir)
    assert sorted(workdir.rglob("*")) == before


def test_a_damaged_first_entry_is_refused(run: Path) -> None:
    path = run / "journal" / "00000000.json"
    journal_files.edit(path, lambda content: content["entry"].pop("tasks"))
    for function in (Store.open, Store.create_or_open):
        with pytest.raises(CorruptionError, match=r"00000000.json is not what was written.*missing keys \['tasks'\]"):
            function(run)


def test_a_reader_follows_a_run(workdir: Path) -> None:
    store = Store.create_or_open(workdir)
    with store.lock():
        put_published(store.components, 0)
        store.journal.append(entry(0))
        reader = Store.open(workdir)
        begin = time.process_time()
        for index in range(1, 4):
            put_published(store.components, index)
            assert len(reader.journal) == index
            store.journal.append(entry(index))
            assert list(reader.journal.entries(index)) == [entry(index)]
        assert time.process_time() - begin < 60


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_local_urls_are_local_paths(scheme: str, tmp_path: Path) -> None:
    assert Store(f"{scheme}{tmp_path}/run").path == f"{tmp_path}/run"
    with pytest.raises(UserError, match="names no directory"):
        Store(scheme)
