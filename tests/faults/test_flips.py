"""One flipped bit in any file of a work directory: refused, rebuilt or without effect, never a wrong answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import flips
from tests.faults.flips import KINDS

OUTCOMES = {
    "journal": {"refused"},
    "components": {"refused", "rebuilt"},  # of models that nobody asks for: `munet verify` finds it
    "snapshots": {"rebuilt"},
    "saves in flight": {"rebuilt"},
    "baselines": {"refused", "rebuilt"},
    "lock": {"same"},
    "cache": {"rebuilt"},
}


def check(kind: str, count: int) -> None:
    outcomes = flips.flip_all(kind, count)
    assert outcomes.total() == count
    assert set(outcomes) <= OUTCOMES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_some_flips(kind: str) -> None:
    check(kind, 6)


def test_another_answer_is_told_apart(tmp_path: Path) -> None:
    flips.write(tmp_path)
    expected = flips.used(tmp_path)
    assert flips.outcome(tmp_path, expected) == "same"
    assert flips.outcome(tmp_path, "another") == "DIFFERENT"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_many_flips(kind: str) -> None:
    check(kind, 500)
