"""Snapshots: the newest sound one that fits the journal, or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from munet.store import Journal, Snapshots
from tests.store.samples import entry


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal")
    for index in range(6):
        journal.append(entry(index))
    return journal


@pytest.fixture
def snapshots(tmp_path: Path, journal: Journal) -> Snapshots:
    """Snapshots of the states after 2, 4 and 6 entries."""
    snapshots = Snapshots(tmp_path / "snapshots")
    for length in (2, 4, 6):
        snapshots.save(length, journal.hash_at(length), {"length": length, "ratio": 0.1})
    return snapshots


def file_of(snapshots: Snapshots, length: int) -> Path:
    return Path(snapshots.path) / f"{length:08d}.json"


def test_the_newest_is_used_and_two_are_kept(snapshots: Snapshots, journal: Journal) -> None:
    assert snapshots.latest(journal) == (6, {"length": 6, "ratio": 0.1})
    assert sorted(path.name for path in Path(snapshots.path).iterdir()) == ["00000004.json", "00000006.json"]


def test_none_at_all(tmp_path: Path, journal: Journal) -> None:
    assert Snapshots(tmp_path / "none").latest(journal) is None
    assert not (tmp_path / "none").exists()


def test_every_damage_makes_it_as_if_it_were_not_there(snapshots: Snapshots, journal: Journal) -> None:
    path = file_of(snapshots, 6)
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 2]) + data[position + 1 :])
        assert snapshots.latest(journal) == (4, {"length": 4, "ratio": 0.1})
        path.write_bytes(data[:position])
        assert snapshots.latest(journal) == (4, {"length": 4, "ratio": 0.1})


def test_one_of_another_journal_is_ignored(snapshots: Snapshots, journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "other")
    for index in (0, *range(10, 15)):
        other.append(entry(index))
    assert snapshots.latest(other) is None


def test_one_ahead_of_the_journal_is_ignored_and_cleared(
    snapshots: Snapshots, journal: Journal, tmp_path: Path
) -> None:
    for index in (4, 5):
        (Path(journal.path) / f"{index:08d}.json").unlink()  # an older copy was put back
    older = Journal(journal.path)
    assert snapshots.latest(older) == (4, {"length": 4, "ratio": 0.1})
    older.append(entry(4))
    snapshots.save(5, older.head_hash, {"length": 5})
    assert snapshots.latest(older) == (5, {"length": 5})
    assert not file_of(snapshots, 6).exists()


def test_saving_again_replaces(snapshots: Snapshots, journal: Journal) -> None:
    snapshots.save(6, journal.head_hash, {"again": True})
    assert snapshots.latest(journal) == (6, {"again": True})


def test_a_newer_format_is_ignored(snapshots: Snapshots, journal: Journal) -> None:
    head, body = file_of(snapshots, 6).read_bytes().split(b"\n", 1)
    newer = {**json.loads(head), "format": 2}
    file_of(snapshots, 6).write_bytes(json.dumps(newer).encode() + b"\n" + body)
    assert snapshots.latest(journal) == (4, {"length": 4, "ratio": 0.1})
