"""What a TPU's compiler makes of munet's programs, without a TPU: `pip install libtpu` brings it.

    python -m benchmarks.tpu_compiler [--topology=v5e:2x2] [--chips=1] [--program=Ti/16:b3:t-1:a0:i32:n512:h64]

Prints one JSON line: seconds of tracing and of compiling (processor time too), bytes that the compiler plans beside
what munet counts for a child, how much of the state that comes in is used again for what goes out (`reused`: all of it
where donation works), and operations a step. Nothing is run: speed and numbers need the hardware.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

_STEPS = 10  # batches of a segment


def main(arguments: Sequence[str] | None = None) -> None:
    """Compiles one program, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--topology", default="v5e:2x2", help="such as v5e:2x4, v4:2x2x1, v6e:2x4 (default: %(default)s)"
    )
    parser.add_argument("--chips", type=int, default=1, help="that children are spread over, one each")
    parser.add_argument("--program", default="Ti/16:b3:t-1:a0:i32:n512:h64:dbfloat16")
    options = parser.parse_args(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the compiler needs no device, and must not look for one
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    print(json.dumps(compiled(options.topology, options.program, options.chips)))


def compiled(topology: str, text: str, chips: int) -> dict[str, Any]:
    """The train program of a signature, compiled for some chips of a topology.

    Raises:
      UserError: there is no TPU compiler here, or no such topology.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.experimental import topologies
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from munet.errors import UserError
    from munet.training.measure import timing
    from munet.training.placement import device_memory
    from munet.training.program import programs
    from munet.training.program.optimizer import UpdateRule
    from munet.training.program.sharding import AXES
    from munet.training.program.signature import Signature

    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise UserError(f"--topology={topology}: {str(error)[:200]} Is libtpu installed?") from error
    program = Signature.parse(text)
    mesh = Mesh(np.array(found.devices[:chips]).reshape(chips, 1, 1), AXES)
    children, shared = NamedSharding(mesh, PartitionSpec("child")), NamedSharding(mesh, PartitionSpec())

    def of_children(tree: Any) -> Any:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((chips, *leaf.shape[1:]), leaf.dtype, sharding=children), tree
        )

    shape = (_STEPS, program.batch_size, program.image_size, program.image_size, 3)
    images = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=shared)
    labels = jax.ShapeDtypeStruct(shape[:2], jnp.int32, sharding=shared)
    steps = jax.ShapeDtypeStruct((), jnp.int32, sharding=shared)
    times = [time.perf_counter()]
    train: Any = programs.train_program(program, mesh, UpdateRule())  # jitted
    lowered = train.lower(*of_children(timing.blank_arrays(program)), images, labels, steps)
    times.append(time.perf_counter())
    processor = time.process_time()
    made = lowered.compile()
    processor = time.process_time() - processor
    times.append(time.perf_counter())
    memory, costs = made.memory_analysis(), made.cost_analysis() or {}
    planned = device_memory.child_memory(program)
    return {
        "device": str(getattr(found.devices[0], "device_kind", "TPU")),
        "chips": chips,
        "program": text,
        "jax": jax.__version__,
        "seconds": {"trace": times[1] - times[0], "compile": times[2] - times[1], "processor": processor},
        "bytes": {
            "arguments": memory.argument_size_in_bytes,
            "images": images.size * 4,
            "results": memory.output_size_in_bytes,
            "reused": memory.alias_size_in_bytes,
            "temporary": memory.temp_size_in_bytes,
            "peak": getattr(memory, "peak_memory_in_bytes", None),
            "planned_child": planned.total,
            "planned_activations": planned.activations,
        },
        "flops": costs.get("flops"),
        "accessed": costs.get("bytes accessed"),
    }


if __name__ == "__main__":
    main()
