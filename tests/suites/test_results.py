"""results.parquet and suite.json: exact round trips, other versions and damage refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from munet.errors import CorruptionError, WorkdirError
from munet.store import keeper
from munet.suites import record, results
from munet.suites.rows import TIMES, Row
from munet.suites.suite import Method, Suite
from tests.suites.rows import rows

TWO = rows("full", [[0.1, 0.7], [0.6, 1 / 3]])


def test_rows_come_back_exactly(tmp_path: Path) -> None:
    results.write(str(tmp_path), TWO)
    assert results.read(str(tmp_path)) == TWO
    table = pq.read_table(tmp_path / results.FILE)
    assert table.column_names == [item.name for item in fields(Row)]
    assert set(TIMES) <= set(table.column_names)
    assert table.schema.metadata == {b"munet.format": b"munet-results", b"munet.format_version": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == [results.FILE]


READER = """
import os, sys
from munet.suites import results
def threads():
    return len(os.listdir("/proc/self/task"))
before = threads()
assert results.read(sys.argv[1])
assert threads() == before, "Arrow's threads may abort the process at its end"
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list threads")
def test_reading_starts_no_threads(tmp_path: Path) -> None:
    results.write(str(tmp_path), TWO)
    subprocess.run([sys.executable, "-c", READER, tmp_path], check=True)


def test_none_and_no_rows(tmp_path: Path) -> None:
    assert results.read(str(tmp_path)) == []
    results.write(str(tmp_path), [])
    assert results.read(str(tmp_path)) == []


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "suite_results.md").read_text()
    for item in fields(Row):
        assert f"`{item.name}`" in text, item.name


def replace_metadata(folder: Path, **changes: str) -> None:
    table = pq.read_table(folder / results.FILE)
    metadata = dict(table.schema.metadata) | {f"munet.{key}".encode(): text.encode() for key, text in changes.items()}
    pq.write_table(table.replace_schema_metadata(metadata), folder / results.FILE)


def test_another_version_or_another_file_is_refused(tmp_path: Path) -> None:
    results.write(str(tmp_path), TWO)
    replace_metadata(tmp_path, format_version="3")
    with pytest.raises(WorkdirError, match="has format version 3, this munet reads and writes version 2"):
        results.read(str(tmp_path))
    replace_metadata(tmp_path, format="other")
    with pytest.raises(CorruptionError, match="is not a file of munet's"):
        results.read(str(tmp_path))
    (tmp_path / results.FILE).write_bytes(b"PAR1 and so on")
    with pytest.raises(CorruptionError, match="cannot be read"):
        results.read(str(tmp_path))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    results.write(str(tmp_path), TWO)
    table = pq.read_table(tmp_path / results.FILE).drop_columns(["seed"])
    pq.write_table(table, tmp_path / results.FILE)
    with pytest.raises(CorruptionError, match="other columns"):
        results.read(str(tmp_path))


def test_a_record_keeps_what_ran_before(tmp_path: Path) -> None:
    first = Suite((Method("full", "demo"), Method("old", "demo", {"batch_size": 3})), tasks=("builtin:digits",))
    both = {"full": 1, "old": 1}
    kept = record.of_suite(first, "mine", 3, ("--config.batch_size=9",), record.read(str(tmp_path)), both)
    record.write(str(tmp_path), kept)
    assert record.read(str(tmp_path)) == kept
    assert kept.methods[1].settings == {"tasks": ["builtin:digits"], "batch_size": 3}
    second = Suite((Method("new", "demo"), Method("full", "demo", label="Full")))
    after = record.of_suite(second, "mine:b", 2, (), kept, {"new": 1, "full": 1})
    assert [method.name for method in after.methods] == ["new", "full", "old"]
    assert (after.repeats, after.suite, after.methods[1].label) == (3, "mine:b", "Full")


def test_methods_of_earlier_suites_have_titles_of_their_own() -> None:
    kept = record.of_suite(Suite((Method("full", "demo", label="Full"),)), "mine", 1, (), None, {"full": 1})
    second = Suite((Method("full_2", "demo", label="Full"), Method("munet", "demo", label="muNet")))
    after = record.of_suite(second, "mine", 1, (), kept, {"full_2": 1, "munet": 1})
    assert after.titles == {"full_2": "Full (full_2)", "munet": "muNet", "full": "Full (full)"}
    third = Suite((Method("munet", "demo"), Method("new", "demo", label="munet")))
    assert record.of_suite(third, "mine", 1, (), None, {}).titles == {"munet": "munet", "new": "munet (new)"}


def test_a_record_keeps_settings_of_methods_that_are_not_run_now() -> None:
    first = Suite((Method("full", "demo"), Method("new", "demo")), settings={"batch_size": 3})
    kept = record.of_suite(first, "mine", 3, (), None, {"full": 1, "new": 1})
    second = Suite((Method("full", "other", label="Full"), Method("new", "demo")), settings={"batch_size": 4})
    after = record.of_suite(second, "mine", 3, (), kept, {"new": 1})
    assert [method.settings for method in after.methods] == [{"batch_size": 3}, {"batch_size": 4}]
    assert (after.methods[0].config, after.methods[0].label) == ("demo", "Full")


def test_a_second_suite_in_a_bucket_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://{tmp_path}/suite"
    monkeypatch.setattr(keeper, "shows_life", lambda *_: True)
    with record.locked(url) as inherited:
        assert inherited == ()
        with pytest.raises(WorkdirError, match="is in use by process"), record.locked(url):
            pass
        record.write(url, record.Record("mine", 1))
    with record.locked(url):
        assert record.read(url) == record.Record("mine", 1)


def test_records_of_another_version_damage_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    with pytest.raises(WorkdirError, match=r"holds other things \(photo.png, ...\) and no suite"):
        record.read(str(tmp_path))
    with pytest.raises(WorkdirError, match="is a file"):
        record.read(str(tmp_path / "photo.png"))
    path = tmp_path / record.FILE
    path.write_text(json.dumps({"format": "munet-suite", "format_version": 2}))
    with pytest.raises(WorkdirError, match="has format version 2"):
        record.read(str(tmp_path))
    path.write_text("{}")
    with pytest.raises(CorruptionError, match="is no record of a suite"):
        record.read(str(tmp_path))
    path.write_text("{")
    with pytest.raises(CorruptionError, match="no valid JSON"):
        record.read(str(tmp_path))
