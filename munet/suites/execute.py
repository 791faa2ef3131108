"""Runs the runs of a suite: worker processes on disjoint devices, each doing one run after another.

A run that fails is reported and the others go on; Ctrl-C ends all workers cleanly, and every run is resumable.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from munet.suites import worker
from munet.suites.plan import Run
from munet.text import duration

Variables = Mapping[str, str]
_COMMAND = (sys.executable, "-m", "munet.suites.worker")


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `error` is empty if it is complete."""

    run: Run
    seconds: float
    error: str = ""


class Workers:
    """Worker processes.

    Args:
      places: for each worker what its environment has more than ours: the devices that it may use.
      say: prints one line; called from several threads, never at the same time.
      on_end: told how each run ended; as `say`.
      inherit: file descriptors that workers keep open (the suite's lock).
      command: what a worker process runs; see `munet.suites.worker` for what it reads and tells.
    """

    def __init__(
        self,
        places: Sequence[Variables],
        say: Callable[[str], None],
        on_end: Callable[[Outcome], None],
        inherit: Sequence[int] = (),
        command: Sequence[str] = _COMMAND,
    ):
        self._places, self._say, self._on_end = places, say, on_end
        self._inherit, self._command = tuple(inherit), list(command)
        self._turn = threading.Lock()
        self._queue: collections.deque[Run] = collections.deque()
        self._processes: set[subprocess.Popen[str]] = set()
        self._is_stopped = False

    def run(self, runs: Sequence[Run]) -> None:
        """Does all runs, in order, as many at a time as there are workers.

        Raises:
          KeyboardInterrupt: all workers have ended by then.
        """
        self._queue.extend(runs)
        total = len(runs)
        with ThreadPoolExecutor(len(self._places)) as pool:
            served = [pool.submit(self._serve, place, total) for place in self._places]
            try:
                for future in wait(served, return_when=FIRST_EXCEPTION).done:
                    future.result()
            except BaseException:
                self._stop()
                raise

    def _serve(self, place: Variables, total: int) -> None:
        """One worker after another on one place, until nothing is left."""
        while True:
            with self._turn:
                if self._is_stopped or not self._queue:
                    return
                run = self._queue.popleft()
                self._say(f"[{total - len(self._queue)}/{total}] {run.name}: starts, in {run.workdir}")
            started = time.monotonic()
            error = self._one(run, place)
            with self._turn:
                if self._is_stopped:
                    return
                outcome = Outcome(run, time.monotonic() - started, error)
                lasted = duration(outcome.seconds)
                self._say(f"{run.name}: FAILED after {lasted}: {error}" if error else f"{run.name}: done in {lasted}")
                self._on_end(outcome)

    def _one(self, run: Run, place: Variables) -> str:
        """One run in a process of its own; what went wrong, or ""."""
        with self._process(place) as process:
            if process is None or process.stdin is None or process.stdout is None:
                return ""  # stopped meanwhile
            with contextlib.suppress(BrokenPipeError):  # its exit code will say why
                process.stdin.write(worker.job(run.config, run.workdir))
                process.stdin.flush()
            error = ""
            for line in process.stdout:
                message = json.loads(line)
                error = message.get("error", error)
                if "say" in message:
                    with self._turn:
                        self._say(f"  {run.name}: {message['say']}")
            code = process.wait()
        if code == worker.DONE:
            return ""
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}{' (out of memory?)' if code == -signal.SIGKILL else ''}; start the suite again"
        return error or f"the worker ended with exit code {code}"

    @contextlib.contextmanager
    def _process(self, place: Variables) -> Iterator[subprocess.Popen[str] | None]:
        with self._turn:
            if self._is_stopped:
                yield None
                return
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **place},
                pass_fds=self._inherit,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end them one by one
            )
            self._processes.add(process)
        try:
            with process:
                yield process
        finally:
            with self._turn:
                self._processes.discard(process)

    def _stop(self) -> None:
        """Ends every worker as Ctrl-C would; the threads see it and end too."""
        with self._turn:
            self._is_stopped = True
            for process in self._processes:
                process.terminate()
