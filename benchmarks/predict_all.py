"""What it saves that the models of all tasks answer together: each prefix that they share is computed once.

    python -m benchmarks.predict_all WORKDIR... [--images=256] [--repeats=9]

Prints one JSON line: for every run, the median seconds in which all of its tasks answer for the same images, together
(`together_s`) and by one `Predictor` after another (`apart_s`), in turn in one process after both were compiled.
`ratio` is the median of the turns' ratios, `processor_ratio` the same of processor time, which other processes disturb
less; `bound` is the share of the operations that is left, from exact counts: only prefixes can be shared. Resizing
is no part of the count, but of both times; it is done once together. `difference` is the largest between probabilities.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import munet


class Seconds(NamedTuple):
    """What something takes, by the clock and of processor time."""

    wall: float
    processor: float


def seconds(work: Callable[[], Any]) -> Seconds:
    started, worked = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - started, time.process_time() - worked)


def compare(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> tuple[float, float, float, float]:
    """Median seconds of both, the median ratio, and that of processor time; in turn, after one that compiles."""
    turns = [(seconds(first), seconds(second)) for _ in range(repeats + 1)][1:]
    walls = [statistics.median(turn[place].wall for turn in turns) for place in (0, 1)]
    ratios = [statistics.median(one[kind] / other[kind] for one, other in turns) for kind in (0, 1)]
    return (*walls, *ratios)  # type: ignore[return-value]  # four numbers


def measure(workdir: str, images: int, repeats: int) -> dict[str, Any]:
    """The figures of one run."""
    system = munet.open(workdir)
    tasks = list(system.models)
    random = np.random.default_rng(0)
    shape = system.predictor(tasks[0]).inputs.shape or (32, 32, 3)
    pixels = random.integers(0, 256, (images, *shape), np.uint8)

    def apart() -> dict[str, np.ndarray]:
        return {task: system.predict(task, pixels).probabilities for task in tasks}

    together = {task: found.probabilities for task, found in system.predict_all(pixels).items()}
    difference = max(float(np.abs(together[task] - found).max()) for task, found in apart().items())
    all_s, apart_s, ratio, processor_ratio = compare(lambda: system.predict_all(pixels), apart, repeats)
    flops = sum(map(system.flops, tasks))
    return {
        "tasks": len(tasks),
        "together_s": round(all_s, 4),
        "apart_s": round(apart_s, 4),
        "ratio": round(ratio, 3),
        "processor_ratio": round(processor_ratio, 3),
        "bound": round(system.together(tasks).flops / flops, 3),
        "difference": difference,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="+", metavar="WORKDIR")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args(arguments)
    found = {workdir: measure(workdir, options.images, options.repeats) for workdir in options.workdirs}
    print(
        json.dumps({"device": jax.devices()[0].device_kind, "jax": jax.__version__, "images": options.images, **found})
    )


if __name__ == "__main__":
    main()
