"""What Gumbel-Matrix routing costs: Table I's updates over a bare scan, and a forward pass by its active connections.

    python -m benchmarks.gumbel_matrix [--case=updates|replicas|forward|layer|memory] [--repeats=5] [--blocks=3]
    python -m benchmarks.gumbel_matrix --case=memory [--network=mnist] [--batch_size=1024] [--evaluation=together]

Prints one JSON line. `updates`: one run of Table I's network on four tasks of random images in batches of 16, as
`benchmarks.joint` measures the trainer; `replicas`: ten of them side by side. `forward`: processor milliseconds of a
pass over 64 images of 28 x 28 through four layers of seven components (16 channels), of which a task uses 1 to 7 in
each; `origin` is the time with all of them times the share that is used. `layer`: gradients of these layers on the same
images with all components active, by the code that routes over components that are computed and averaged by hand, in
turns. `memory`: what a round of four tasks takes beside state and images: by the compiler, which `--dry_run` says; by
the estimate that decides whether components are computed again (`memory.activation_bytes`), with gradients; and by
Linux, as the growth of the process's peak while the first round runs. Table I's network with batches of 1,024 images,
if nothing else is asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.joint import Case
from benchmarks.joint import measure as over_bare_scan
from munet import rng
from munet.config import Runtime
from munet.config.routing import RoutingExperiment
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds, Stream
from munet.methods.gumbel_matrix import components, inference, memory, networks
from munet.methods.gumbel_matrix.learner import PURPOSES, Answering, Routing
from munet.methods.gumbel_matrix.network import Evaluation, component_name
from munet.methods.gumbel_matrix.sources import Images
from munet.training.placement.devices import DeviceLayout

_TASKS = tuple(f"task{number}" for number in range(4))
_IMAGES = {"mnist": (28, 1), "clusters": (32, 3), "omniglot_small": (28, 1), "omniglot": (105, 1)}  # size, channels
_COMPONENTS, _LAYERS = 7, 4
_MIB = 1 << 20


def table_1(replicas: int) -> Case:
    """The learner of Table I, in batches of 16."""
    learner, streams = random_images("mnist", 16)
    return Case(learner, streams, replicas, 50)


def random_images(
    network: str, batch_size: int, evaluation: Evaluation = "together"
) -> tuple[Routing, tuple[Stream, ...]]:
    """A learner of four tasks, on images that say nothing.

    Args:
      network: as a config names it.
      batch_size: of each task.
      evaluation: how components are computed.
    """
    size, channels = _IMAGES[network]
    experiment = RoutingExperiment(network=network, image_size=size, is_grey=channels == 1)  # type: ignore[arg-type]  # one of _IMAGES
    images = np.random.default_rng(0).integers(0, 256, (2000, size, size, channels), dtype=np.uint8)
    labels = (np.arange(len(images)) % 10).astype(np.int32)
    streams = tuple(Stream(task, images, labels, batch_size, _path_of(task), PURPOSES) for task in _TASKS)
    tasks = [Answering(task, 10, np.ones(batch_size, np.float32)) for task in _TASKS]
    made, source = replace(networks.network(experiment), evaluation=evaluation), Images(size, is_grey=channels == 1)
    learner = Routing(experiment, made, tasks, source, None, is_value=False, num_rounds=1000)
    return learner, streams


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


def layer(repeats: int) -> dict[str, Any]:
    """Processor seconds of gradients, routed with every component active and by hand; their outputs must agree."""
    network = networks.omniglot(28, 1, filters=16, num_layers=_LAYERS)
    params = network.initial(("benchmark",))
    inputs = jnp.asarray(np.random.default_rng(0).random((64, 28, 28, 1)).astype(np.float32))
    rows = [np.ones(_COMPONENTS, np.float32)] * _LAYERS

    def routed(params: Any, rows: Any) -> Any:
        return (network.features(params, rows, inputs) ** 2).mean()

    def by_hand(params: Any, rows: Any) -> Any:
        del rows
        values = components.apply(network.stem, params["stem"], inputs)
        for number, one in enumerate(network.layers):
            own = [params.get(component_name(number, place), {}) for place in range(_COMPONENTS)]
            outputs = [
                components.apply(chain, leaves, values) for chain, leaves in zip(one.components, own, strict=True)
            ]
            total = outputs[0]
            for output in outputs[1:]:
                total = total + output
            values = components.apply(one.after, params[f"layer_{number}.after"], total / _COMPONENTS)
        return (values**2).mean()

    programs = [jax.jit(jax.value_and_grad(loss)).lower(params, rows).compile() for loss in (routed, by_hand)]
    losses = [float(program(params, rows)[0]) for program in programs]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for program, found in zip(programs, times, strict=True):
            started = time.process_time()
            jax.block_until_ready(program(params, rows))
            found.append(time.process_time() - started)
    ratios = [one / other for one, other in zip(*times, strict=True)]
    return {
        "routed_milliseconds": round(1000 * statistics.median(times[0]), 1),
        "by_hand_milliseconds": round(1000 * statistics.median(times[1]), 1),
        "processor_ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
    }


def memory_of_a_round(network: str, batch_size: int, evaluation: Evaluation) -> dict[str, Any]:
    """MiB by the compiler, by the estimate, and as measured; Linux only."""
    learner, streams = random_images(network, batch_size, evaluation)
    mesh = mesh_of(DeviceLayout.detect(Runtime()), 1)
    programs = Programs(learner, 1, mesh)
    carried = programs.initial((0,), [stream.name for stream in streams])
    with closing(Rounds(streams, (0,), size=1, num_rounds=8, mesh=mesh, limit=float("inf"))) as rounds:
        picked = [rounds.block(number, 1) for number in range(2)]
        program = programs.compiled_block(carried, picked[0], rounds.sets)
        told = program.memory_analysis().temp_size_in_bytes
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
        before = _status("VmRSS")
        jax.block_until_ready(program(carried, picked[0], rounds.sets, np.int32(1)))
        measured = _status("VmHWM") - before
    started = time.process_time()
    kept = memory.activation_bytes(learner)
    seconds = time.process_time() - started
    estimated = kept + memory.state_bytes(learner) // 3  # gradients
    return {
        "network": network,
        "batch_size": batch_size,
        "evaluation": evaluation,
        "compiler_mib": round(told / _MIB, 1),
        "estimate_mib": round(estimated / _MIB, 1),
        "measured_mib": round(measured / _MIB, 1),
        "compiler_over_measured": round(told / measured, 3),
        "estimate_over_measured": round(estimated / measured, 3),
        "estimate_processor_seconds": round(seconds, 2),
    }


def _status(name: str) -> int:
    """Bytes that Linux says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _path_of(task: str) -> Any:
    def path(seed: int) -> rng.Path:
        return ("benchmark", seed, task)

    return path


def main() -> None:
    """Measures one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("updates", "replicas", "forward", "layer", "memory"), default="updates")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--network", choices=tuple(_IMAGES), default="mnist")
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--evaluation", choices=("together", "in_turn", "again"), default="together")
    given = parser.parse_args()
    if given.case == "forward":
        found = forward(given.repeats)
    elif given.case == "layer":
        found = layer(given.repeats)
    elif given.case == "memory":
        found = memory_of_a_round(given.network, given.batch_size, given.evaluation)
    else:
        found = over_bare_scan(table_1(10 if given.case == "replicas" else 1), given.blocks, given.repeats)
        updates = found["rounds"] * len(_TASKS)
        found["bare_milliseconds_an_update"] = 1000 * found["bare_seconds"] / updates
        found["minutes_of_150000_updates"] = 150_000 / updates * found["trainer_seconds"] / 60
    print(json.dumps({"case": given.case, **found}))


if __name__ == "__main__":
    main()
