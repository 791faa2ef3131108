"""Requests that never arrive, answers that get lost, requests sent twice, and slowness: nothing lost, nothing wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from munet.store import keeper
from tests.faults import networks
from tests.store import shared_store


@pytest.fixture(autouse=True)
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever held the lease and failed shows no life any more: its process, this one, has ended in reality."""
    shared_store.register()
    monkeypatch.setattr(keeper, "shows_life", lambda *_: False)


@pytest.mark.parametrize("fault", networks.FAULTS)
def test_every_request_of_a_writer(fault: str, tmp_path: Path) -> None:
    seen = networks.count_requests(f"shared://{tmp_path}/sound")
    assert {"create", "put", "ls", "cat"} <= set(seen)
    expected = networks.stored(f"shared://{tmp_path}/sound")
    outcomes: Counter[str] = Counter()
    for target in range(1, seen.total() + 1):
        outcomes[networks.outcome(f"shared://{tmp_path}/{target}", target, fault, expected)] += 1
    print(f"{fault}: {seen.total()} requests: {dict(outcomes)}")
    assert set(outcomes) <= {"same", "refused"}, outcomes
    if fault == "is sent again":
        assert set(outcomes) == {"same"}, outcomes


def test_what_is_lost_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says it has done what it has not."""
    networks.live(f"shared://{tmp_path}/sound")
    expected = networks.stored(f"shared://{tmp_path}/sound")
    monkeypatch.setitem(networks.FAULTS, "is forgotten", lambda request: None)
    seen = networks.count_requests(f"shared://{tmp_path}/again")
    outcomes = {
        networks.outcome(f"shared://{tmp_path}/{target}", target, "is forgotten", expected)
        for target in range(1, seen.total() + 1)
    }
    assert outcomes - {"same", "refused"}
