"""Real server processes on 127.0.0.1, on small stored runs that nobody trained."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from munet.types import TaskInfo
from tests.report.stored_run import write_run

ROOT = Path(__file__).parents[2]
SHAPE = (24, 20, 3)
HOSTILE = "</script><img src=x onerror=alert(1)> \"'\u202eabc " + 150 * "x"  # a class's name
TASKS = (
    TaskInfo("plain", "builtin:digits", "f0", ("a", "b", "c"), 90, 30, 30, image_shape=SHAPE),
    TaskInfo("a/b predict", "builtin:digits", "f1", ("x", HOSTILE, "y", "z"), 90, 30, 30, image_shape=SHAPE),
    TaskInfo("many", "builtin:digits", "f2", tuple(map(str, range(1623))), 90, 30, 30, image_shape=(9, 9, 1)),
)


@dataclass
class Running:
    """A server process.

    Attributes:
      process: the process.
      url: where it answers.
      client: of it; making one takes a third of a second.
      said: what it has printed so far.
    """

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client
    said: list[str] = field(default_factory=list)

    def stop(self) -> tuple[int, float]:
        """Ends it with SIGTERM; the exit code, and how long that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=30)
        self.said.append(rest)
        return self.process.returncode, time.monotonic() - started

    def wait_until_ready(self) -> None:
        for _ in range(2400):
            assert self.process.poll() is None, self.process.communicate()[1]
            if self.client.get("readyz").status_code == 200:
                return
            time.sleep(0.05)
        raise AssertionError("not ready within two minutes")


def write(workdir: Path, **changes: Any) -> Path:
    """A stored run with three tasks, two of which share their images' shape."""
    settings: dict[str, Any] = {"tasks": TASKS, "num_blocks": 1, "mutation_probability": 0.3}
    write_run(workdir, **{**settings, **changes})
    return workdir


@contextmanager
def serving(workdir: Path, *options: str, cache: Path) -> Iterator[Running]:
    """A server of a run, from its first line on; ended with it. Compiled programs are kept below `cache`."""
    command = [sys.executable, "-m", "munet", "serve", f"--workdir={workdir}", "--port=0", "--max_batch=4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MUNET_CACHE_DIR": str(cache / "cache")}
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, cwd=workdir, env=environment
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"http://\S+", first)
        assert found is not None, first + process.stderr.read()
        try:
            with httpx.Client(base_url=found[0], timeout=60, verify=False) as client:
                yield Running(process, found[0], client, [first])
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def png(*, seed: int = 0, shape: tuple[int, ...] = SHAPE, format: str = "PNG") -> bytes:
    """An image file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()
