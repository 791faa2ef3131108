"""What prediction costs beside its forward pass: one warm image, a cold start, and the rate over many files.

    python -m benchmarks.predict --workdir=DIR --task=T FOLDER [--repeats=200]

Prints one JSON line: `forward_ms` (one stored image, resize included, on the device) beside `array_ms` and `file_ms`
(the same image through `predictor.predict`, and a file of the folder); images a second that threads decode
(`decode_per_s`), that the model takes in batches (`forward_per_s`), and that `munet predict` answers behind its start
(`predict_per_s`, in this process, all programs compiled); and `first_answer_s`, from the start of a process of
`munet predict` to its first line, when a process before it has compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import numpy as np

import munet
from munet.data import photos
from munet.serving.answers import Alone, answers
from munet.serving.image_paths import image_paths
from munet.threads import in_threads
from munet.training.program.compilation_cache import use_compilation_cache


def main() -> None:
    """Measures, and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "munet",
        "predict",
        f"--workdir={options.workdir}",
        f"--task={options.task}",
        "--json",
    ]
    starts = [_first_line([*command, options.folder]) for _ in range(4)]
    use_compilation_cache("")
    predictor = munet.open(options.workdir).predictor(options.task)
    files = list(image_paths([options.folder], sys.stdin))
    pixels = predictor.inputs.read_all(files[:64])
    assert isinstance(pixels, np.ndarray), "a run whose journal notes no image_shape"
    one, batch = jax.device_put(pixels[:1]), jax.device_put(pixels)
    list(answers(Alone(predictor), files))  # compiles
    line = {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "forward_ms": _milliseconds(lambda: predictor.forward(one).block_until_ready(), options.repeats),
        "array_ms": _milliseconds(lambda: predictor.predict(pixels[:1]), options.repeats),
        "file_ms": _milliseconds(lambda: predictor.predict(files[0]), options.repeats),
        "decode_per_s": _rate(lambda: _decode(predictor, files), len(files)),
        "forward_per_s": _rate(lambda: [predictor.forward(batch).block_until_ready() for _ in range(10)], 640),
        "predict_per_s": _rate(lambda: list(answers(Alone(predictor), files)), len(files)),
        "first_answer_s": round(min(starts[1:]), 2),
    }
    print(json.dumps(line))


def _decode(predictor: Any, files: list[str]) -> None:
    with photos.quietly():
        for _ in in_threads(predictor.inputs.read, files):
            pass


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of some work."""
    times = []
    for _ in range(repeats + 3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return round(1000 * median(times[3:]), 2)


def _rate(work: Callable[[], object], count: int) -> float:
    """How much of it a second, the best of three: others share the machine."""
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = max(best, count / (time.perf_counter() - started))
    return round(best)


def _first_line(command: list[str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - started
        process.stdout.read()
    return seconds


if __name__ == "__main__":
    main()
