"""Every system call of every operation of the store fails with every error: nothing wrong, raw or lost."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from tests.faults import injection
from tests.faults.operations import OPERATIONS, Operation

QUICK = (
    "read entries",
    "publish a component",
    "read components",
    "read a snapshot",
    "check a manifest",
    "read the cache",
)


@pytest.mark.parametrize("name", QUICK)
def test_some_errors(name: str, tmp_path: Path) -> None:
    outcomes = injection.inject(tmp_path, injection.FEW_ERRNOS, [name])
    assert outcomes.faults == []
    assert outcomes.counts.total() > 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_all_errors(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert injection.inject(tmp_path, injection.ERRNOS, [name]).faults == []


def swallowing(place: Path) -> object:
    try:
        return (place / "file").read_bytes()
    except OSError:
        return b""


def leaking(place: Path) -> object:
    file = (place / "file").open("rb")
    kept.append(file)
    return file.read()


def raw(place: Path) -> object:
    try:
        return (place / "file").read_bytes()
    except OSError:
        raise KeyError("x") from ValueError()


def losing(place: Path) -> object:
    data = (place / "file").read_bytes()
    (place / "file").unlink()
    (place / "file").write_bytes(data)
    return data


kept: list[object] = []


@pytest.mark.parametrize(
    ("do", "fault"),
    [
        (swallowing, "DIFFERENT: b''"),
        (raw, "a raw KeyError"),
        (losing, "cannot be done again"),
        (leaking, "1 files left open"),
    ],
)
def test_faults_are_found(do: object, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations as they should not be."""
    bad = Operation(lambda place: (place / "file").write_bytes(b"data"), do)  # type: ignore[arg-type]
    monkeypatch.setitem(OPERATIONS, "bad", bad)
    faults = injection.inject(tmp_path, [errno.EIO], ["bad"]).faults
    for file in kept:
        file.close()  # type: ignore[attr-defined]
    kept.clear()
    assert any(fault in one for one in faults), faults
