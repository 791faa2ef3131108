"""What Gumbel-Matrix routing costs: Table I's updates over a bare scan, and a forward pass by its active connections.

    python -m benchmarks.gumbel_matrix [--case=updates|replicas|forward] [--repeats=5] [--blocks=3]

Prints one JSON line. `updates`: one run of Table I's network on four tasks of random images in batches of 16, as
`benchmarks.joint` measures the trainer; `replicas`: ten of them side by side. `forward`: processor milliseconds of a
pass over 64 images of 28 x 28 through four layers of seven components (16 channels), of which a task uses 1 to 7 in
each; `origin` is the time with all of them times the share that is used.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import jax
import numpy as np

from benchmarks.joint import Case
from benchmarks.joint import measure as over_bare_scan
from munet import rng
from munet.config.routing import RoutingExperiment
from munet.joint.rounds import Stream
from munet.methods.gumbel_matrix import inference, networks
from munet.methods.gumbel_matrix.learner import PURPOSES, Answering, Routing
from munet.methods.gumbel_matrix.sources import Images

_TASKS = tuple(f"task{number}" for number in range(4))
_COMPONENTS, _LAYERS = 7, 4


def table_1(replicas: int) -> Case:
    """The learner of Table I, on images that say nothing."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 28, 28, 1), dtype=np.uint8)
    labels = (np.arange(len(images)) % 10).astype(np.int32)
    streams = tuple(Stream(task, images, labels, 16, _path_of(task), PURPOSES) for task in _TASKS)
    tasks = [Answering(task, 10, np.ones(16, np.float32)) for task in _TASKS]
    source = Images(28, is_grey=True)
    learner = Routing(RoutingExperiment(), networks.mnist(), tasks, source, None, is_value=False, num_rounds=1000)
    return Case(learner, streams, replicas, 50)


def forward(repeats: int) -> dict[str, Any]:
    """Time of a pass by the number of components that a task uses in each layer; all are timed in turn."""
    network = networks.omniglot(28, 1, filters=16, num_layers=_LAYERS)
    params = network.initial(("benchmark",))
    head = network.initial_heads(("benchmark",), [20])
    params["head"] = {name: leaf[0] for name, leaf in head.items()}
    inputs = np.random.default_rng(0).random((64, 28, 28, 1)).astype(np.float32)
    programs = {}
    for used in range(1, _COMPONENTS + 1):
        row = "1" * used + "0" * (_COMPONENTS - used)
        model = inference.model_of(network, (row,) * _LAYERS, params)
        programs[used] = jax.jit(model.__call__).lower(inputs).compile()
    times: dict[int, list[float]] = {used: [] for used in programs}
    for _ in range(repeats + 1):
        for used, program in programs.items():
            started = time.process_time()
            jax.block_until_ready(program(inputs))
            times[used].append(1000 * (time.process_time() - started))
    found = {used: statistics.median(values[1:]) for used, values in times.items()}
    whole = network.flops([np.ones(_COMPONENTS, bool)] * _LAYERS, 20)
    rows = [np.arange(_COMPONENTS) < used for used in found]
    return {
        "milliseconds": {used: round(value, 3) for used, value in found.items()},
        "origin": {used: round(found[_COMPONENTS] * used / _COMPONENTS, 3) for used in found},
        "flops_share": {
            used: round(network.flops([row] * _LAYERS, 20) / whole, 3) for used, row in zip(found, rows, strict=True)
        },
    }


def _path_of(task: str) -> Any:
    def path(seed: int) -> rng.Path:
        return ("benchmark", seed, task)

    return path


def main() -> None:
    """Measures one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("updates", "replicas", "forward"), default="updates")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=3)
    given = parser.parse_args()
    if given.case == "forward":
        found = forward(given.repeats)
    else:
        found = over_bare_scan(table_1(10 if given.case == "replicas" else 1), given.blocks, given.repeats)
        updates = found["rounds"] * len(_TASKS)
        found["bare_milliseconds_an_update"] = 1000 * found["bare_seconds"] / updates
        found["minutes_of_150000_updates"] = 150_000 / updates * found["trainer_seconds"] / 60
    print(json.dumps({"case": given.case, **found}))


if __name__ == "__main__":
    main()
