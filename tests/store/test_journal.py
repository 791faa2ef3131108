"""The journal: entries come back in order, and a changed past is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from munet.errors import CorruptionError, DiskFullError, WorkdirError
from munet.store import Journal
from munet.store.journal import NEWEST_VERSION
from munet.types import JournalEntry, Position, SeedsEntry
from tests.store import journal_files
from tests.store.samples import entry


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Five entries."""
    journal = Journal(tmp_path / "journal")
    for index in range(5):
        journal.append(entry(index))
    return journal


def file_of(journal: Journal, index: int) -> Path:
    return Path(journal.path) / f"{index:08d}.json"


def edit(journal: Journal, index: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes one file, in the form in which it was written."""
    journal_files.edit(file_of(journal, index), change)


def test_entries_come_back_in_order(journal: Journal) -> None:
    for reader in (journal, Journal(journal.path)):
        assert list(reader.entries()) == [entry(index) for index in range(5)]
        assert list(reader.entries(3)) == [entry(3), entry(4)]
        assert list(reader.entries(5)) == []
        assert len(reader) == 5


def test_fits_come_back_with_their_models(journal: Journal) -> None:
    fits = SeedsEntry(Position(1, 2), "mnist", {12: 0.1 + 0.2, 0: 1.0, 7: 1 / 3})
    journal.append(fits)
    (found,) = Journal(journal.path).entries(5)
    assert found == fits
    assert json.loads(file_of(journal, 5).read_bytes())["kind"] == "seeds"


def test_an_empty_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert (len(journal), journal.head_hash, list(journal.entries())) == (0, "", [])
    journal.check_format()
    assert not list(tmp_path.iterdir()), "reading makes nothing"


def test_files_are_chained_by_their_hashes(journal: Journal) -> None:
    previous = ""
    for index in range(5):
        data = file_of(journal, index).read_bytes()
        content = json.loads(data)
        assert list(content) == ["sha256", "format", "kind", "previous", "entry"]
        assert content["previous"] == previous == journal.hash_at(index)
        previous = hashlib.sha256(data).hexdigest()
    assert journal.head_hash == previous == Journal(journal.path).head_hash


def test_a_reader_sees_what_was_appended_since(journal: Journal) -> None:
    reader = Journal(journal.path)
    assert len(reader) == 5
    journal.append(entry(5))
    assert len(reader) == 6
    assert list(reader.entries(5)) == [entry(5)]
    assert reader.head_hash == journal.head_hash


def test_a_second_writer_is_refused(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    second = Journal(journal.path)
    monkeypatch.setattr(Journal, "__len__", lambda self: 5)  # both looked before either wrote
    journal.append(entry(5))
    before = file_of(journal, 5).read_bytes()
    with pytest.raises(WorkdirError, match=r"00000005.json was written by another process"):
        second.append(entry(6))
    assert file_of(journal, 5).read_bytes() == before


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "an altered number": lambda content: content["entry"]["children"][0]["training"]["qualities"][0].update(correct=2),
    "an altered hash": lambda content: content.update(previous="0" * 64),
    "an unknown kind": lambda content: content.update(kind="other"),
    "an unhashable kind": lambda content: content.update(kind=[]),
    "another kind": lambda content: content.update(kind="phase"),
    "a start in the middle": lambda content: content.update(kind="start"),
    "an unknown key": lambda content: content.update(more=1),
    "no format": lambda content: content.pop("format"),
    "format 0": lambda content: content.update(format=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_altered_entries_are_found(journal: Journal, change: str) -> None:
    edit(journal, 2, CHANGES[change])
    found: list[JournalEntry] = []
    with pytest.raises(CorruptionError, match=r"0000000[23].json.*(Restore|not what was written)"):
        found.extend(Journal(journal.path).entries())
    assert len(found) <= 3


def test_an_altered_last_entry_is_found_when_it_is_appended_to(journal: Journal) -> None:
    edit(journal, 4, CHANGES["an altered number"])
    with pytest.raises(CorruptionError, match=r"00000004.json is no longer what this process read"):
        journal.append(entry(5))


def test_a_missing_entry_is_found(journal: Journal) -> None:
    file_of(journal, 2).unlink()
    for function in (len, lambda journal: journal.append(entry(5)), lambda journal: list(journal.entries())):
        with pytest.raises(CorruptionError, match=r"00000002.json is missing, though 00000004.json is there"):
            function(Journal(journal.path))


def test_an_entry_gone_while_reading_is_found(journal: Journal) -> None:
    entries = journal.entries()
    next(entries)
    file_of(journal, 1).unlink()
    with pytest.raises(CorruptionError, match=r"00000001.json is missing"):
        next(entries)


def test_entries_in_another_order_are_found(journal: Journal) -> None:
    second, third = file_of(journal, 2).read_bytes(), file_of(journal, 3).read_bytes()
    file_of(journal, 2).write_bytes(third)
    file_of(journal, 3).write_bytes(second)
    with pytest.raises(CorruptionError, match="does not follow the entry before it"):
        list(Journal(journal.path).entries())


def test_a_journal_that_starts_in_the_middle_is_refused(journal: Journal) -> None:
    file_of(journal, 0).write_bytes(file_of(journal, 1).read_bytes())
    with pytest.raises(CorruptionError, match="in the wrong place"):
        Journal(journal.path).check_format()


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe"])
def test_what_is_no_entry_is_refused(journal: Journal, data: bytes) -> None:
    file_of(journal, 3).write_bytes(data)
    with pytest.raises(CorruptionError, match=r"00000003.json"):
        list(journal.entries())


def test_a_newer_format_is_said_to_be_one(journal: Journal) -> None:
    edit(journal, 3, lambda content: content.update(format=NEWEST_VERSION + 1, surprise=1))
    with pytest.raises(WorkdirError, match=r"format version 5.*reads up to 4: install a newer munet"):
        list(journal.entries())


def test_a_listing_that_misses_a_file_is_not_believed(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    # A directory listed while files are made may show a later one and not an earlier one.
    names = {f"{index:08d}.json" for index in (0, 1, 2, 4)}
    reader = Journal(journal.path)
    monkeypatch.setattr(reader._folder, "names", lambda: names)
    assert len(reader) == 5


def test_a_full_disk_leaves_the_journal_as_it_was(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        real(descriptor, bytes(data)[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskFullError, match=r"00000005.json could not be written.*same command again"):
            journal.append(entry(5))
    assert len(list(Path(journal.path).iterdir())) == 5
    journal.append(entry(5))
    assert list(journal.entries(4)) == [entry(4), entry(5)]
