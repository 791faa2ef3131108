"""Contenders of a benchmark, each in a process of its own, that work in turn.

In one process their thread pools would take the processor from each other (PyTorch and JAX side by side: a PyTorch
step took seven times as long), and in a row one would meet another machine than the other: so all are started, and
then each is asked for one measurement at a time while the others wait for a line on their standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
_PAUSE = 0.5  # seconds; OpenMP's threads, which PyTorch uses, wait for more work at full speed for 0.2 s


class ContenderError(RuntimeError):
    """A contender failed; the message is its own."""


class Contender:
    """The parent's end: `ask` runs a command there and gives its answer.

    Args:
      name: the module beside this one that serves commands.
      case: what it is started with, as JSON.
      environment: what its environment has more than ours.
    """

    def __init__(self, name: str, case: Mapping[str, Any], environment: Mapping[str, str] | None = None):
        self.name = name
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.contenders.{name}", json.dumps(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {}), "PYTHONPATH": path},
        )

    def ask(self, command: str) -> Any:
        """The answer to a command, which begins when the threads of whoever worked before have gone to sleep.

        Raises:
          ContenderError: the contender failed or is gone.
        """
        time.sleep(_PAUSE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderError(f"{self.name} ended with exit code {self._process.wait()}") from None
        line = self._process.stdout.readline()
        if not line:
            raise ContenderError(f"{self.name} ended with exit code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(f"{self.name}: {answer['error']}")
        return answer["value"]

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()


def serve(commands: Mapping[str, Callable[[], Any]]) -> None:
    """The contender's end: answers one command a line until standard input ends."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        try:
            answer = {"value": commands[line.strip()]()}
        except Exception as error:  # told to the parent, which decides whether to go on without this contender
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()
