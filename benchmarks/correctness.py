"""Whether the numbers of an accelerator are right, before anything is said of its speed.

    python -m benchmarks.correctness [--variant=Ti/16] [--num_blocks=3] [--batch_size=64] [--steps=3]

Prints one JSON line, and ends with 1 if something is wrong. `steps`: train steps of one child in which every layer
trains, in each precision, beside the same steps in float32 on the processor: the largest difference of a parameter, in
shares of the largest change that training made. `repeat`: a generation of mutated children trained twice, compared bit
for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.contenders import cases
from benchmarks.contenders.engine import Engine
from munet import accelerators
from munet.training.measure import timing
from munet.training.program import programs
from munet.training.program.optimizer import SCHEDULES, OptimizerSettings, UpdateRule
from munet.training.program.sharding import AXES
from munet.training.program.signature import INPUT_LEVEL, Signature

# Float32 products are float32 everywhere, and sums are in another order; of bfloat16, with 8 bits, ten times what a CPU
# gives (0.004). (Not tried on an accelerator: the first run there says whether these are the right limits.)
LIMITS = {"float32": 1e-3, "bfloat16": 0.05}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what is found; the exit code is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="Ti/16")
    parser.add_argument("--num_blocks", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args(arguments)
    device = accelerators.local_devices()[0]
    program = Signature(options.variant, options.num_blocks, INPUT_LEVEL, 0, 32, options.batch_size, head_size=64)
    expected = trained(program, processor(), options.steps)
    steps = {}
    for dtype, limit in LIMITS.items():
        found = trained(replace(program, dtype=dtype), device, options.steps)
        difference = compare(expected, found)
        steps[dtype] = {"difference": difference, "limit": limit, "right": difference <= limit}
    case = cases.Case(
        options.variant, options.num_blocks, 32, options.batch_size, children=4, cycles=1, steps=options.steps
    )
    repeat = {"children": case.children, "right": repeats(case)}
    right = repeat["right"] and all(one["right"] for one in steps.values())
    about = {"device": device.device_kind, "platform": device.platform, "jax": jax.__version__}
    print(json.dumps({**about, "steps": steps, "repeat": repeat, "right": right}))
    return 0 if right else 1


def processor() -> jax.Device:
    """The processor, which JAX has beside every accelerator; where it is hidden, the accelerator is its own measure."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS=tpu
        print("JAX shows no processor (JAX_PLATFORMS): steps are compared with the device's own.", file=sys.stderr)
        return accelerators.local_devices()[0]


def trained(program: Signature, device: jax.Device, num_steps: int) -> tuple[Any, Any]:
    """The parameters of a child of random ones before and after some steps on noise, on the host."""
    draw = np.random.default_rng(0)
    state, _, control = timing.blank_arrays(program)
    tuned = jax.tree.map(lambda leaf: draw.normal(0, 0.05, leaf.shape).astype(np.float32), state.tuned)
    settings = (0.05, 0.9, 0.0, SCHEDULES.index("constant"), 0, 100)
    kinds = [leaf.dtype for leaf in control.settings]
    control = control._replace(
        settings=OptimizerSettings(*(jnp.asarray([v], k) for v, k in zip(settings, kinds, strict=True)))
    )
    shape = (num_steps, program.batch_size, program.image_size, program.image_size, 3)
    images = draw.normal(0, 0.5, shape).astype(np.float32)
    labels = draw.integers(0, 2, shape[:2]).astype(np.int32)
    mesh = Mesh(np.array([device]).reshape(1, 1, 1), AXES)
    children, shared = NamedSharding(mesh, PartitionSpec("child")), NamedSharding(mesh, PartitionSpec())
    begun = jax.device_put((programs.init_state(tuned), {}, control), children)
    steps = jax.device_put((images, labels, jnp.int32(num_steps)), shared)
    ended = programs.train_program(program, mesh, UpdateRule())(*begun, *steps)
    return tuned, jax.device_get(ended.tuned)


def compare(expected: tuple[Any, Any], found: tuple[Any, Any]) -> float:
    """The largest difference of a parameter, in shares of the largest change; infinite where one is not finite."""
    before, after = expected
    changes = jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after))
    differences = jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), after, found[1]))
    worst = float(max(differences))
    return worst / float(max(changes)) if np.isfinite(worst) else float("inf")


def repeats(case: cases.Case) -> bool:
    """Whether a generation that is trained twice gives the same children, bit for bit."""
    first, second = (
        [(id, [leaf.tobytes() for leaf in jax.tree.leaves(child.best)]) for id, child in sorted(found.items())]
        for found in (Engine(case)._train() for _ in range(2))
    )
    return first == second


if __name__ == "__main__":
    sys.exit(main())
