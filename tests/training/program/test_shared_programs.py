"""Compiled programs in a bucket (`memory://`): shared once they are whole, found by the next machine."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from munet.data.tasks import load_task
from munet.progress import events
from munet.run import runs
from munet.store.folders import open_folder
from munet.training.program import compilation_cache as cache_of_programs
from munet.training.program import shared_programs
from munet.training.program.shared_programs import SharedPrograms
from tests import tiny_run


def test_programs_travel_from_machine_to_machine(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/xla"
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (first / "a-cache").write_bytes(b"program")
    (first / ".tmp-b").write_bytes(b"half")
    sharing = SharedPrograms(url, first)
    assert sharing.share() == 0  # it may be half written
    past = time.time() - 60
    os.utime(first / "a-cache", (past, past))
    assert [sharing.share(), sharing.share()] == [1, 0]
    assert SharedPrograms(url, second).fetch() == 1
    assert {path.name: path.read_bytes() for path in second.iterdir()} == {"a-cache": b"program"}
    assert SharedPrograms(url, second).fetch() == 0


def test_two_machines_may_compile_the_same(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/xla"
    for name, data in (("first", b"one"), ("second", b"two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a-cache").write_bytes(data)
        assert SharedPrograms(url, tmp_path / name).share(0.0) == 1
    assert open_folder(url).read("a-cache") == b"one"


def test_a_bucket_that_does_not_answer_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> None:
        raise OSError("503")

    monkeypatch.setattr(shared_programs, "open_folder", refuse)
    sharing = SharedPrograms(f"memory://{tmp_path}/xla", tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [sharing.fetch(), sharing.share(), sharing.share()] == [0, 0, 0]
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_a_run_whose_data_and_cache_are_in_a_bucket(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives what a local one gives; the next machine finds its programs, and makes no folder called `memory:`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache_of_programs, "_share", lambda url, place: started.append(start(url, place)))
    started: list[SharedPrograms] = []

    def start(url: str, place: Path) -> SharedPrograms:
        sharing = SharedPrograms(url, place)
        sharing.fetch()
        return sharing

    settings = tiny_run.config(data)
    settings.experiment.num_generations = settings.experiment.num_task_iterations = 1
    import fsspec

    store, root = fsspec.core.url_to_fs(f"memory://{tmp_path}/data")
    tasks = []
    for uri in settings.experiment.tasks:
        path = Path(uri.partition(":")[2])
        store.pipe_file(f"{root}/{path.name}", path.read_bytes())
        tasks.append(f"npz:memory://{tmp_path}/data/{path.name}")
        assert load_task(uri).info.fingerprint == load_task(tasks[-1], cache_dir="off").info.fingerprint
    settings.experiment.tasks = tuple(tasks)
    settings.runtime.cache_dir = f"memory://{tmp_path}/cache"
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_enable_xla_caches")
    before = {name: getattr(jax.config, name) for name in names}
    found: list[set[str]] = []
    try:
        for number in range(2):
            monkeypatch.setenv("MUNET_LOCAL_DIR", str(tmp_path / f"disk{number}"))
            jax.clear_caches()
            compilation_cache.reset_cache()
            told: list[events.Event] = []
            runs.evolve(settings, str(tmp_path / f"run{number}"), told.append)
            assert isinstance(told[-1], events.RunEnded)
            assert told[-1].is_complete
            place = Path(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]
            assert place.is_relative_to(tmp_path / f"disk{number}")
            found.append({path.name for path in place.iterdir()})
            started[-1].share(0.0)
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
    assert found[0] == found[1], "the second machine has compiled a program anew"
    assert not (tmp_path / "memory:").exists()
