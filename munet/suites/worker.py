"""One run of a suite in a process of its own: what fails or is killed there stops nothing else.

`python -m munet.suites.worker` reads its job as one line of JSON from standard input and tells what happens on standard
output, one JSON object a line: `{"say": TEXT}`, and at the end `{"error": TEXT}` if it failed. Standard input stays
open for as long as the suite lives: at its end the worker ends too, at once, as a run may be killed at any moment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from munet.config import Config
from munet.errors import UserError
from munet.progress import wording
from munet.progress.events import Event, Note, PhaseEnded
from munet.progress.jsonl import JsonLines
from munet.progress.listeners import Listeners
from munet.store import codec
from munet.suites import devices

DONE, FAILED, USER_INPUT, TERMINATED = 0, 1, 2, 143


def job(config: Config, workdir: str) -> str:
    """The line that a worker reads."""
    return json.dumps({"config": codec.to_json(config), "workdir": workdir}) + "\n"


def main() -> int:
    """Does the job; returns the exit code."""
    line = _read_line()
    devices.keep_to_own_cores()
    threading.Thread(target=_end_with_suite, daemon=True).start()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no message

    def tell(**message: str) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    signal.signal(signal.SIGTERM, _terminate)
    try:
        data = json.loads(line)
        from munet.run import runs  # JAX, where the suite has chosen the device

        with Listeners([_Teller(tell), JsonLines()]) as listeners:
            config = codec.from_json(Config, data["config"], "The worker's job")
            if not runs.evolve(config, data["workdir"], listeners):
                tell(error=f"stopped after runtime.max_hours = {config.runtime.max_hours:g}; the same command goes on")
                return USER_INPUT
    except UserError as error:
        tell(error=str(error))
        return USER_INPUT
    except KeyboardInterrupt:
        return TERMINATED
    except Exception as error:  # the outermost edge: shown whole, and the suite goes on
        traceback.print_exc()
        tell(error=f"{type(error).__name__}: {error} (not by your input; the traceback is above)")
        return FAILED
    return DONE


class _Teller:
    """Tells the ends of phases, and notes."""

    def __init__(self, tell: Callable[..., None]):
        self._tell = tell

    def __call__(self, event: Event) -> None:
        """Tells the suite of the end of a phase, and of notes; of nothing else."""
        if isinstance(event, PhaseEnded):
            self._tell(say=wording.describe_phase_end(event))
        elif isinstance(event, Note):
            self._tell(say=event.text)

    def close(self) -> None:
        """Nothing to tidy up."""


def _read_line() -> str:
    """One line of standard input, unbuffered: the thread below reads on."""
    data = b""
    while not data.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise SystemExit(FAILED)
        data += byte
    return data.decode()


def _end_with_suite() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _terminate(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
