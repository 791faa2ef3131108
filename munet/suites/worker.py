"""One run of a suite in a process of its own: what fails or is killed there stops nothing else.

`python -m munet.suites.worker` reads its job as one line of JSON from standard input and tells what happens on standard
output, one JSON object a line: `{"say": TEXT}`, and at the end `{"error": TEXT}` if it failed. Standard input stays
open for as long as the suite lives: at its end the worker ends too, at once, as a run may be killed at any moment.

`places` says which devices each worker may use: disjoint sets of GPUs, of a TPU's chips or of processor cores.
Workers that share cores wait for each other's threads inside every matrix product: two workers with a core each did 1.3
times the steps of one with both (Ti/16 with 3 blocks, batch 64).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from munet import kinds, platforms, system_faults
from munet.errors import UserError
from munet.kinds import AnyConfig
from munet.progress import wording
from munet.progress.events import Event, Note, PhaseEnded
from munet.progress.jsonl import JsonLines
from munet.progress.listeners import Listeners
from munet.store import codec

DONE, FAILED, USER_INPUT, TERMINATED = 0, 1, 2, 143
# A chip of a TPU may be two devices (v2, v3), which have one place in its topology.
_ASK = """
import sys
from munet import accelerators
from munet.errors import UserError
try:
    devices = accelerators.local_devices()
except UserError as error:
    sys.exit(str(error))
print(devices[0].platform, len({tuple(getattr(device, "coords", None) or [device.id]) for device in devices}))
"""
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_CORES = "MUNET_WORKER_CORES"  # numbers with commas; empty or missing: all that our process may use


def job(config: AnyConfig, workdir: str) -> str:
    """The line that a worker reads."""
    return json.dumps({"kind": kinds.of(config).name, "config": codec.to_json(config), "workdir": workdir}) + "\n"


def main() -> int:
    """Does the job; returns the exit code."""
    line = _read_line()
    keep_to_own_cores()
    threading.Thread(target=_end_with_suite, daemon=True).start()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no message

    def tell(**message: str) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    signal.signal(signal.SIGTERM, _terminate)
    try:
        data = json.loads(line)
        kind = kinds.named(data["kind"])
        with Listeners([_Teller(tell), JsonLines()]) as listeners:
            config = codec.from_json(kind.config, data["config"], "The worker's job")
            # JAX is loaded here, where the suite has chosen the device.
            if not kind.run(config, data["workdir"], listeners):
                tell(error=f"stopped after runtime.max_hours = {config.runtime.max_hours:g}; the same command goes on")
                return USER_INPUT
    except UserError as error:
        tell(error=str(error))
        return USER_INPUT
    except KeyboardInterrupt:
        return TERMINATED
    except Exception as error:  # the outermost edge: shown whole, and the suite goes on
        if message := system_faults.explained(error) or platforms.problem():
            tell(error=message)
            return USER_INPUT
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


def places(workers: int) -> list[dict[str, str]]:
    """For each worker what its environment has more than ours.

    Args:
      workers: how many; 0: one for each GPU, else one.

    Raises:
      UserError: more workers than there are GPUs or chips, or so many that a TPU's chips cannot be shared out.
    """
    if workers < 0:
        raise UserError(f"--workers={workers}: expected 0 (one for each GPU, else one) or more.")
    platform, count = _devices()
    if platform == "cpu":
        shares = _share_cores(max(workers, 1))
        return [{_CORES: ",".join(map(str, cores))} if cores else {} for cores in shares]
    if platform == "tpu":
        return _share_chips(workers, count)
    if platform != "gpu":
        if workers > 1:
            raise UserError(f"--workers={workers}: on {platform} a run uses all {count} devices; leave --workers out.")
        return [{}]
    if workers > count:
        raise UserError(f"--workers={workers}, but JAX sees {count} GPU(s): give at most {count}, or 0 for one each.")
    chosen = workers or count
    ids = os.environ.get(_VISIBLE, "").split(",") if os.environ.get(_VISIBLE) else [str(id) for id in range(count)]
    return [{_VISIBLE: ",".join(ids[index::chosen])} for index in range(chosen)]


# How many chips of so many a process may have, and the shape that they must have (x, y, z), as JAX's own tests share
# them out. (Not tried: no TPU was at hand.)
_CHIPS = {(1, 1): "1,1,1", (4, 1): "1,1,1", (4, 2): "1,2,1", (4, 4): "2,2,1"}
_CHIPS |= {(8, 1): "1,1,1", (8, 4): "2,2,1", (8, 8): "2,4,1"}
_PORT = 8476  # libtpu's own


def _share_chips(workers: int, count: int) -> list[dict[str, str]]:
    """A TPU's chips for each of several workers; all for one, which is told nothing."""
    if workers <= 1:
        return [{}]
    each = count // workers
    if each * workers != count or (count, each) not in _CHIPS:
        valid = ", ".join(str(count // one) for total, one in _CHIPS if total == count)
        raise UserError(
            f"--workers={workers}: the {count} chips of this TPU cannot be shared out so. Valid: {valid or '1'}."
        )
    return [
        {
            "TPU_VISIBLE_CHIPS": ",".join(str(chip) for chip in range(index * each, (index + 1) * each)),
            "TPU_CHIPS_PER_PROCESS_BOUNDS": _CHIPS[count, each],
            "TPU_PROCESS_BOUNDS": "1,1,1",  # each worker is alone on what it has
            "TPU_PROCESS_ADDRESSES": f"localhost:{_PORT + index}",
            "TPU_PROCESS_PORT": str(_PORT + index),
            "CLOUD_TPU_TASK_ID": "0",
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else the second finds the TPU in use
        }
        for index in range(workers)
    ]


def keep_to_own_cores() -> None:
    """Called by a worker before it loads JAX, whose thread pool is as large as the number of cores it finds then."""
    if cores := os.environ.get(_CORES):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def _share_cores(workers: int) -> list[list[int]]:
    """As many cores for each worker, so that all runs are of one layout; none are named where all are one's."""
    if workers == 1 or not hasattr(os, "sched_getaffinity"):  # not on macOS
        return [[] for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // workers
    if not each:  # more workers than cores: they share all
        return [[] for _ in range(workers)]
    return [cores[index * each : (index + 1) * each] for index in range(workers)]


def _devices() -> tuple[str, int]:
    """Platform and number of the devices that JAX sees, asked in another process: who asks takes a GPU's memory."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return "cpu", 1
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True)
    if asked.returncode:
        raise UserError((asked.stderr.strip().splitlines() or ["JAX finds no usable device."])[-1])
    platform, count = asked.stdout.split()[-2:]
    return platform, int(count)


if __name__ == "__main__":
    code = main()
    if code == TERMINATED:
        os._exit(code)  # threads that still compile are not waited for
    sys.exit(code)
