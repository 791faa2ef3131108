"""What a train step of each kind of child costs, and its compilation: the numbers behind the grouping cost model.

    python -m benchmarks.step_cost [--variant=Ti/16] [--batch_size=256] [--repeats=3]

Prints one JSON line. Programs are timed in turn, `--repeats` times over, so that a busy machine disturbs all alike; the
ratios to the full step are what to compare. `estimated` is what the cost model of this device says.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace

from munet.config import Runtime
from munet.training.measure.timing import measure
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import step_seconds
from munet.training.program.signature import INPUT_LEVEL, Signature


def main() -> None:
    """Times the programs and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="Ti/16")
    parser.add_argument("--num_blocks", type=int, default=3)
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    layout = DeviceLayout.detect(Runtime())
    full = Signature(
        options.variant, options.num_blocks, INPUT_LEVEL, 0, options.image_size, options.batch_size, head_size=64
    )
    programs = {
        "full": full,
        "top_block": replace(full, first_trainable=options.num_blocks - 1),
        "head_only": replace(full, first_trainable=options.num_blocks),
        "full_adapters_32": replace(full, adapter_dim=32),
        "blocks": replace(full, first_trainable=0),
        "lora_8": replace(full, first_trainable=0, lora_rank=8, frozen=tuple(range(options.num_blocks))),
        "blocks_adapters_32": replace(full, first_trainable=0, adapter_dim=32),
        "adapters_32": replace(full, first_trainable=0, adapter_dim=32, frozen=tuple(range(options.num_blocks))),
    }
    first = {name: measure(program, layout) for name, program in programs.items()}
    times = {name: [time.step] for name, time in first.items()}
    for _ in range(options.repeats - 1):
        for name, program in programs.items():
            times[name].append(measure(program, layout).step)
    steps = {name: statistics.median(values) for name, values in times.items()}
    estimates = {name: step_seconds(program, layout.cost_model) for name, program in programs.items()}
    print(
        json.dumps(
            {
                "device": layout.devices[0].device_kind,
                "step_ms": {name: round(seconds * 1000, 1) for name, seconds in steps.items()},
                "ratio_to_full": {name: round(seconds / steps["full"], 2) for name, seconds in steps.items()},
                "estimated_ratio": {name: round(seconds / estimates["full"], 2) for name, seconds in estimates.items()},
                "compile_s": {name: round(time.compilation, 1) for name, time in first.items()},
                "images_per_s": round(options.batch_size / steps["full"]),
            }
        )
    )


if __name__ == "__main__":
    main()
