"""The command that `runtime.notify` names: what it gets, and that nothing it does hurts (munet/progress/hook.py)."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from munet.config.checks import validate
from munet.config.files import load_config
from munet.errors import ConfigError
from munet.progress.events import PhaseEnded, RunEnded, RunFailed, RunStarted
from munet.progress.hook import Hook
from tests.simulated_events import simulated_events


def tell(hook: Hook, *, end: RunEnded | RunFailed | None = None) -> int:
    """The events of a small run, ending otherwise if asked; returns how many phases it has."""
    phases = 0
    for event in simulated_events():
        phases += isinstance(event, PhaseEnded)
        hook(end if end is not None and isinstance(event, RunEnded) else event)
    hook.close()
    return phases


def calls(folder: Path, end: RunEnded | RunFailed | None = None) -> tuple[list[dict[str, str]], int]:
    """The variables of each call, in order."""
    log = folder / "calls"
    hook = Hook(f"env | grep ^MUNET_ >> {log}; echo END >> {log}", warn=pytest.fail)
    phases = tell(hook, end=end)
    blocks = log.read_text().split("END\n")[:-1]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks], phases


def test_the_command_hears_of_every_phase_and_of_the_end(tmp_path: Path) -> None:
    found, phases = calls(tmp_path)
    assert [call["MUNET_EVENT"] for call in found] == ["phase_end"] * phases + ["complete"]
    first = found[0]
    assert first["MUNET_TASK"]
    assert 0 <= float(first["MUNET_TEST_ACCURACY"]) <= 1
    assert 0 <= float(first["MUNET_VALIDATION_ACCURACY"]) <= 1
    assert int(first["MUNET_PARAMS"]) > 0
    assert first["MUNET_TASK"] in first["MUNET_TEXT"]
    assert 0 < float(first["MUNET_PROGRESS"]) < 1
    assert float(found[-1]["MUNET_PROGRESS"]) == 1
    assert {call["MUNET_WORKDIR"] for call in found} == {found[0]["MUNET_WORKDIR"]}
    assert found[-1]["MUNET_SECONDS"] == "21"


@pytest.mark.parametrize(
    ("end", "name"), [(RunEnded(False, 3.0), "stopped"), (RunFailed("DiskFullError: no space"), "failed")]
)
def test_the_command_hears_how_it_ended(tmp_path: Path, end: RunEnded | RunFailed, name: str) -> None:
    found, _ = calls(tmp_path, end)
    assert found[-1]["MUNET_EVENT"] == name
    assert found[-1].get("MUNET_ERROR", "") == ("DiskFullError: no space" if name == "failed" else "")


def test_what_never_began_or_was_complete_is_not_told(tmp_path: Path) -> None:
    hook = Hook(f"touch {tmp_path}/called", warn=pytest.fail)
    hook(RunFailed("DataError: no such set"))
    hook(RunStarted(str(tmp_path), ("a",), 1, 1, ("evolve:1x1",)))
    hook(RunEnded(True, 0.0))
    hook.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "problem"),
    [("echo no such webhook >&2; exit 3", "exit code 3: no such webhook"), ("nothing_of_that_name", "exit code 127")],
)
def test_a_command_that_fails_is_told_once(command: str, problem: str) -> None:
    warnings: list[str] = []
    tell(Hook(command, warnings.append))
    assert len(warnings) == 1
    assert "runtime.notify failed at 'phase_end', the run goes on" in warnings[0]
    assert problem in warnings[0]


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    warnings: list[str] = []
    hook = Hook(f"sleep 1234.5678 & echo $! >> {tmp_path}/ids; wait", warnings.append, timeout=2)
    started = time.monotonic()
    phases = 0
    for event in simulated_events():
        phases += isinstance(event, PhaseEnded)
        hook(event)
    assert time.monotonic() - started < 2  # nobody waits while the run goes on
    hook.close()
    assert len(warnings) == 1
    assert "no end after 2 s" in warnings[0]
    ids = (tmp_path / "ids").read_text().split()
    assert len(ids) == phases + 1
    for _ in range(200):
        listed = subprocess.run(["ps", "-o", "stat=", "-p", ",".join(ids)], capture_output=True, text=True, check=False)
        alive = [state for state in listed.stdout.split() if not state.startswith("Z")]
        if not alive:
            break
        time.sleep(0.05)  # who is killed takes a moment to end
    assert not alive


@pytest.mark.parametrize(("command", "warned"), [("setsid sleep 20 &", 0), ("setsid sleep 20 & sleep 20", 1)])
def test_what_a_command_leaves_running_holds_up_nobody(command: str, warned: int) -> None:
    """A daemon keeps the command's standard error open."""
    warnings: list[str] = []
    hook = Hook(command, warnings.append, timeout=0.5)
    started = time.monotonic()
    phases = tell(hook)
    assert time.monotonic() - started < 5 + (phases + 1) * 0.5
    assert len(warnings) == warned


@pytest.mark.parametrize("hours", [-1.0, float("nan"), float("inf")])
def test_max_hours_must_be_a_time(hours: float) -> None:
    config = load_config("demo")
    config.runtime.max_hours = hours
    with pytest.raises(ConfigError, match=r"runtime\.max_hours"):
        validate(config)
