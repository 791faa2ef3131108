"""`runtime.notify`: a command of the user's that is run at phase ends and at the end, whatever becomes of it.

It gets what happened in environment variables (docs/howto/long_runs.md lists them). A run never waits for it, except at
its end, and never fails with it: what goes wrong is told once.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from munet.progress import wording
from munet.progress.events import (
    Event,
    Measured,
    PhaseEnded,
    RunEnded,
    RunFailed,
    RunStarted,
    TrainingEnded,
    TrainingStarted,
)
from munet.progress.tracker import Tracker
from munet.text import duration, printable

TIMEOUT_SECONDS = 60.0  # of one call; then it is killed, with all that it started in its session
_LAST_BYTES = 4096  # of what a failed call says, for its last line
_LOGGER = logging.getLogger(__name__)


class Hook:
    """Runs `sh -c COMMAND` at a phase's end (`MUNET_EVENT=phase_end`) and at the end: complete, stopped or failed.

    Args:
      command: of the user.
      warn: told, once, that a call failed or took too long.
      timeout: seconds.
    """

    def __init__(self, command: str, warn: Callable[[str], None] = _LOGGER.warning, timeout: float = TIMEOUT_SECONDS):
        self._command, self._warn, self._timeout = command, warn, timeout
        self._tracker = Tracker()
        self._has_worked = self._has_failed = False
        self._calls = ThreadPoolExecutor(1)  # one after the other, in order, beside the training

    def __call__(self, event: Event) -> None:
        """Calls the command if the event is one to tell."""
        self._tracker(event)
        match event:
            case RunStarted() | TrainingStarted():
                self._has_worked = False
            case PhaseEnded():
                self._has_worked = True
                self._call("phase_end", wording.describe_phase_end(event), _phase(event))
            case Measured():
                self._has_worked = True
            case RunEnded(is_complete=True) | TrainingEnded(is_complete=True) if not self._has_worked:
                pass  # it was complete before
            case (
                RunEnded(is_complete=is_complete, seconds=seconds)
                | TrainingEnded(is_complete=is_complete, seconds=seconds)
            ):
                name = "complete" if is_complete else "stopped"
                self._call(name, f"{name} after {duration(seconds)}", {"SECONDS": f"{seconds:.0f}"})
            case RunFailed(error=error):
                self._call("failed", f"failed: {error}", {"ERROR": error})
            case _:
                pass

    def close(self) -> None:
        """Waits for the calls that are still running; each has its time limit."""
        self._calls.shutdown()

    def _call(self, name: str, text: str, values: Mapping[str, str]) -> None:
        run = self._tracker.training or self._tracker.run
        if run is None:  # nothing has begun: the exit code and the message say it all
            return
        phase = self._tracker.phase
        variables = {
            "EVENT": name,
            "TEXT": f"{run.title or 'muNet'} in {run.workdir}: {text}",
            "WORKDIR": run.workdir,
            "TITLE": run.title or "muNet",
            "TASK": phase.task.name if phase else "",
            "PROGRESS": f"{self._tracker.fraction:.4f}",
            **values,
        }
        environment = {
            **os.environ,
            **{f"MUNET_{key}": printable(value, keep="\n") for key, value in variables.items()},
        }
        self._calls.submit(self._run, environment)

    def _run(self, environment: Mapping[str, str]) -> None:
        problem = ""
        try:
            with tempfile.TemporaryFile() as errors:  # no pipe: who holds it open would be waited for
                process = subprocess.Popen(
                    ["sh", "-c", self._command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # the display is not its own
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is not for it, and what it starts can be ended with it
                )
                try:
                    if process.wait(self._timeout):
                        errors.seek(max(errors.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
                        last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                        problem = f"exit code {process.returncode}{': ' if last else ''}{last}"
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    problem = f"no end after {self._timeout:g} s"
        except (OSError, ValueError) as error:
            problem = str(error)
        if problem and not self._has_failed:
            self._has_failed = True
            self._warn(f"runtime.notify failed at {environment['MUNET_EVENT']!r}, the run goes on: {problem}")


def _phase(event: PhaseEnded) -> dict[str, str]:
    quality = event.model.quality
    return {
        "TASK": event.entry.task,
        "TEST_ACCURACY": f"{event.entry.test_quality.value:.6f}",
        "VALIDATION_ACCURACY": f"{quality.value:.6f}" if quality else "",
        "PARAMS": str(event.params),
    }
