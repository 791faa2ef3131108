"""A signal saves what is in training, wherever a cycle is by then; what goes on is what would have gone on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from munet.stopping import Signals
from munet.training import pace
from munet.training.in_flight import InFlight
from munet.training.wave import WaveTrainer
from tests.training.test_in_flight import NUM_CYCLES, assert_same, train, two_streams


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of one step, two in a cycle."""
    monkeypatch.setattr(pace, "_FIRST", 1)
    monkeypatch.setattr(pace, "_GROWTH", 1)


@pytest.fixture(scope="module")
def whole() -> Any:
    """Of turns as they come."""
    return train(None, two_streams())


@pytest.mark.parametrize("turn", [1, 2, 3, 2 * NUM_CYCLES])
def test_a_signal_at_any_turn_loses_nothing(
    turn: int, whole: Any, short_turns: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch, turns = WaveTrainer._dispatch_training, 0

    def counted(*args: Any) -> None:
        nonlocal turns
        turns += 1
        if turns == turn:
            os.kill(os.getpid(), signal.SIGINT)  # while devices are at work
        dispatch(*args)

    monkeypatch.setattr(WaveTrainer, "_dispatch_training", counted)
    signals = Signals()
    with pytest.raises(KeyboardInterrupt), signals.held():
        train(InFlight(str(tmp_path / "saves"), minutes=60, note=pytest.fail, signals=signals), two_streams())
    assert turns == turn
    trained = train(InFlight(str(tmp_path / "saves"), minutes=60, note=pytest.fail), two_streams())
    assert turns == 2 * NUM_CYCLES  # none was repeated
    assert_same(trained, whole)


def test_later_saves_are_preferred(whole: Any, short_turns: None, tmp_path: Path) -> None:
    """A process may be killed before it has removed what a save replaces."""
    from munet.training.in_flight import _name, _progress

    points = [(0, 1), (0, 12), (1, 0), (1, 3), (2, 0), (11, 0), (11, 2)]
    names = [f"family-{_name(*point)}" for point in points]
    assert names == sorted(names)
    assert [_progress(tmp_path / name) for name in names] == points  # type: ignore[arg-type]
    assert _progress(tmp_path / "family-other") is None  # type: ignore[arg-type]


def test_the_host_runs_ahead_of_the_devices_by_seconds_only() -> None:
    now, waits = 0.0, []
    measured = pace.Pace(clock=lambda: now)
    for _ in range(40):
        steps = measured.steps
        assert steps >= 1
        now += 0.1 * steps  # as long as they take
        waits.append(steps)
        measured.dispatched(steps, [])
    assert waits[:4] == [2, 16, 20, 20]
    slow = pace.Pace(clock=lambda: now)
    now += 30
    slow.dispatched(slow.steps, [])
    assert slow.steps == 1
