"""A short run of the fuzzer, and that it finds what it is to find: a crash, a hang, memory, a foreign exception."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from etils import epath

from munet.data import open_settings
from munet.errors import CorruptionError, UserError
from munet.system import replay, view
from munet.training import save_manifest
from tests.fuzz import running
from tests.fuzz.targets import CORPUS, TARGETS, Target

EXECUTIONS, SLOW = 25, 2_000


class Fake(Target):
    """Does what it is told."""

    todo: Callable[[], object]

    def execute(self, draw: random.Random) -> None:
        self.todo()


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("todo", "expected"),
    [
        (lambda: None, "read"),
        (lambda: fail(UserError("odd")), "refused"),
        (lambda: fail(UserError("")), "UserError without a message"),
        (lambda: fail(KeyError("x")), "KeyError: 'x' (test_fuzz.py"),
        (lambda: fail(MemoryError()), "MemoryError"),
    ],
)
def test_outcomes(todo: Callable[[], object], expected: str, tmp_path: Path) -> None:
    target = Fake(tmp_path)
    target.todo = todo
    assert running.execute(target, "fake", 0).startswith(expected)


def test_every_target_reads_what_nobody_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all would be refused for another reason."""
    from tests.fuzz import targets

    for reader in ("npz", "dna"):  # put back: targets change it
        monkeypatch.setattr(f"munet.data.{reader}.host_memory", open_settings.host_memory)
    for name in ("mutated", "mutated_zip"):
        monkeypatch.setattr(targets, name, lambda data, *_: data)
    monkeypatch.setattr(targets, "mutated_text", lambda text, *_: text)
    monkeypatch.setattr(targets, "alter", lambda *_: "")
    for name, kind in TARGETS.items():
        if name != "config":  # whose values are swapped
            (tmp_path / name).mkdir()
            target = kind(tmp_path / name)
            # Headers that declare a wrong length are no alteration of the text.
            outcomes = [running.execute(target, name, number) for number in range(8)]
            assert outcomes.count("read") >= 5, (name, outcomes)


def test_some_executions(capfd: pytest.CaptureFixture[str]) -> None:
    assert running.run(list(TARGETS), 0, EXECUTIONS) == []
    told = capfd.readouterr().out
    for name in TARGETS:
        assert f"\n{name} " in f"\n{told}"


def test_a_crash_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Workers that die at their third execution: by a signal each, of which one means that it hung."""
    died = tmp_path / "died"
    source = f"""
import os, sys, pathlib
from tests.fuzz import running, targets
died = pathlib.Path({str(died)!r})
class Dying(targets.Target):
    def execute(self, draw):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 3 and len(died.read_text()) < 2:
            died.write_text(died.read_text() + ".")
            os.kill(os.getpid(), {signal.SIGSEGV.value} if len(died.read_text()) == 1 else {signal.SIGPROF.value})
targets.TARGETS.clear()
targets.TARGETS.update(a=Dying, b=Dying)
sys.argv[0] = "fuzz"
from tests.fuzz.__main__ import main
main()
"""
    died.write_text("")
    popen = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[str]:
        assert command[1:3] == ["-m", "tests.fuzz"]
        return popen([sys.executable, "-c", source, *command[3:]], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("tests.fuzz.running.subprocess.Popen", start)
    failures = running.run(["a", "b"], 10, 6)
    assert [failure.partition(" [")[0] for failure in failures] == ["ended with -11", "more than 5 s"]
    assert "--only=a --first=12" in failures[0]
    assert "--only=a --first=15" in failures[1]


@pytest.mark.parametrize("files", ["x", ["x"], None, 7])
def test_a_manifest_without_files_is_refused(files: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by fuzzing: its hash fits, and what it says makes no sense."""
    from munet.store import codec

    body = codec.dumps({"format": 1, "files": files})
    (tmp_path / save_manifest.FILE).write_bytes(save_manifest._signed(body))
    with pytest.raises(ValueError, match="not what was written"):
        save_manifest.check(epath.Path(tmp_path))


@pytest.mark.parametrize(
    "change",
    [{"latencies": [1]}, {"programs": 7}, {"programs": None}, {"latencies": 0.5}, {"state": []}, {"state": None}],
)
def test_a_snapshot_of_other_types_is_left_aside(change: dict[str, object]) -> None:
    """Found by fuzzing: its hash fits, and a list stands where an object should."""
    keys = ("length", "generations", "image_steps", "programs", "latencies", "state")
    with pytest.raises(CorruptionError):
        replay.from_json(dict.fromkeys(keys, 0) | change)
    opened = view.open(str(CORPUS / "run"))
    sound = replay.to_json(opened.run_state)
    with pytest.raises(CorruptionError):
        replay.from_json(sound | change)


def test_the_corpus_is_small() -> None:
    files = [file for file in CORPUS.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert sum(file.stat().st_size for file in files) < 1 << 18


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_more_executions() -> None:
    assert running.run(list(TARGETS), EXECUTIONS, SLOW) == []
