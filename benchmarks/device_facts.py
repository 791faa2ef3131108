"""What munet assumes of a device, measured: memory, transfers, compilation, a step; one JSON line.

    python -m benchmarks.device_facts [--variant=Ti/16] [--num_blocks=12] [--image_size=80] [--batch_size=256]

`memory`: what `memory_stats` tells, and bytes at most in use after steps of one child beside what is planned for it.
`compile` and `step`: seconds of the program in which every layer trains, beside what the cost model expects.
`transfer`: GB a second to the device and back, and seconds of a dispatch that does nothing.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence

import jax
import numpy as np

from munet import accelerators
from munet.config import Runtime
from munet.training.measure import timing
from munet.training.placement import device_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import step_seconds
from munet.training.program.signature import INPUT_LEVEL, Signature

_MEGABYTES = 256


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="Ti/16")
    parser.add_argument("--num_blocks", type=int, default=12)
    parser.add_argument("--image_size", type=int, default=80)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--megabytes", type=int, default=_MEGABYTES, help="of a transfer (default: %(default)s)")
    options = parser.parse_args(arguments)
    device, layout = accelerators.local_devices()[0], DeviceLayout.detect(Runtime())
    dtype = "float32" if device.platform == "cpu" else "bfloat16"
    program = Signature(
        options.variant, options.num_blocks, INPUT_LEVEL, 0, options.image_size, options.batch_size, 64, dtype=dtype
    )
    with warnings.catch_warnings(record=True) as told:  # "Some donated buffers were not usable"
        warnings.simplefilter("always")
        measured = timing.measure(program, layout)
    stats, planned = device.memory_stats() or {}, device_memory.child_memory(program)
    found = {
        "device": device.device_kind,
        "devices": len(accelerators.local_devices()),
        "jax": jax.__version__,
        "program": str(program),
        "memory": {
            "stats": sorted(stats),
            "limit": device_memory.device_bytes(device),
            "peak": stats.get("peak_bytes_in_use"),
            "planned_child": planned.total,
        },
        "compile": {
            "seconds": measured.compilation,
            "expected": layout.cost_model.compile_seconds * program.num_blocks,
        },
        "step": {"seconds": measured.step, "expected": step_seconds(program, layout.cost_model)},
        "transfer": transfers(device, options.megabytes),
        "donation_warnings": [str(one.message)[:200] for one in told if "onat" in str(one.message)],
    }
    print(json.dumps(found))


def transfers(device: jax.Device, megabytes: int) -> dict[str, float]:
    """GB a second each way, and seconds of an empty dispatch: the best of three."""
    array = np.zeros((megabytes << 20,), np.uint8)
    nothing = jax.jit(lambda x: x)
    small = jax.device_put(np.zeros(1, np.float32), device)
    jax.block_until_ready(nothing(small))
    there, back, empty = [], [], []
    for _ in range(3):
        started = time.perf_counter()
        put = jax.block_until_ready(jax.device_put(array, device))
        there.append(time.perf_counter() - started)
        started = time.perf_counter()
        jax.device_get(put)
        back.append(time.perf_counter() - started)
        started = time.perf_counter()
        jax.block_until_ready(nothing(small))
        empty.append(time.perf_counter() - started)
    size = array.nbytes / 1e9
    return {"to": size / min(there), "back": size / min(back), "dispatch_seconds": min(empty)}


if __name__ == "__main__":
    main()
