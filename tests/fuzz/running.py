"""Runs targets: a worker process that executes, and the one that watches it, counts, and begins it again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import TARGETS, Target

SECONDS, MEMORY = 5.0, 1 << 30  # of processor time, that one execution may take
_ROOT = Path(__file__).parents[2]


def work(names: Sequence[str], numbers: range, done: int, progress: str) -> None:
    """Executes; a line of JSON on standard output for each target, and one for each failure.

    Args:
      names: of targets.
      numbers: the executions of each.
      done: how many of the first target's are done.
      progress: a file that says which target and execution is going on, for whoever finds us dead.
    """
    descriptor = os.open(progress, os.O_WRONLY)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends us, whatever goes round and round
    for place, name in enumerate(names):
        with tempfile.TemporaryDirectory() as folder:
            target = TARGETS[name](Path(folder))
            limit_memory()
            outcomes: Counter[str] = Counter()
            started = time.perf_counter()
            for number in numbers[0 if place else done :]:
                os.pwrite(descriptor, f"{name} {number}".ljust(60).encode(), 0)
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                outcome = execute(target, name, number)
                signal.setitimer(signal.ITIMER_PROF, 0)
                outcomes[outcome if outcome in ("read", "refused") else "failed"] += 1
                if outcome not in ("read", "refused"):
                    print(json.dumps({"failure": outcome, "target": name, "number": number}), flush=True)
            seconds = time.perf_counter() - started
        print(json.dumps({"target": name, "outcomes": dict(outcomes), "seconds": seconds}), flush=True)


def execute(target: Target, name: str, number: int) -> str:
    """One execution: "read", "refused", or what went wrong."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = "read"
    try:
        target.execute(random.Random(f"{name} {number}"))
    except target.ours as error:
        outcome = "refused" if str(error).strip() else f"{type(error).__name__} without a message"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome = f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return outcome if grown < MEMORY else f"{grown / 1e9:.1f} GB of memory"


def limit_memory() -> None:
    """Lets no more memory be had than an execution may take, beside what is there: more is a `MemoryError`."""
    data = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(data.split()[1]) + MEMORY, hard))


def run(names: Sequence[str], first: int, executions: int) -> list[str]:
    """Executes in a process of its own, prints a line for each target; returns the failures."""
    failures: list[str] = []
    done = 0
    with tempfile.NamedTemporaryFile() as progress:
        while names:
            numbers = [f"--first={first}", f"--executions={executions}", f"--done={done}"]
            command = [sys.executable, "-m", "tests.fuzz", f"--only={','.join(names)}", *numbers]
            environment = {**os.environ, "PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
            with subprocess.Popen(
                [*command, f"--worker={progress.name}"], stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment
            ) as worker:
                assert worker.stdout is not None
                for line in worker.stdout:
                    _told(json.loads(line), failures)
            if worker.returncode == 0:
                break
            name, number = Path(progress.name).read_text().split()  # a worker that never began has said nothing
            what = "more than 5 s" if worker.returncode == -signal.SIGPROF else f"ended with {worker.returncode}"
            _told({"failure": what, "target": name, "number": int(number)}, failures)
            names, done = names[list(names).index(name) :], int(number) + 1 - first
    return failures


def _told(said: dict[str, object], failures: list[str]) -> None:
    """Prints what a worker said, and keeps failures."""
    if "failure" in said:
        again = f"--only={said['target']} --first={said['number']} --executions=1"
        failures.append(f"{said['failure']} [{again}]")
        print(f"FAILED {failures[-1]}", flush=True)
        return
    outcomes, seconds = said["outcomes"], said["seconds"]
    assert isinstance(outcomes, dict)
    assert isinstance(seconds, float)
    count = sum(outcomes.values())
    print(f"{said['target']:12} {count:>9,} executions in {seconds:6.1f} s: {outcomes}", flush=True)
