"""Bytes on each device for one child of a program, and the mesh that it is placed on: nothing is trained.

    python -m benchmarks.device_memory [--program=L/16:b24:t-1:a0:i384:n256:h64] [--devices=1,4,8] [--memory_gb=80]

Prints a table in Markdown. With `--check` every program is compiled for simulated devices, and XLA's own number is put
beside the estimate; that takes minutes for a deep one, so it is done with fewer blocks (`:b2`).
"""

from __future__ import annotations

import argparse
import os
from typing import Any


def main() -> None:
    """Prints the table of estimated bytes a device, by number of devices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="L/16:b24:t-1:a0:i384:n256:h64")
    parser.add_argument("--devices", default="1,4,8")
    parser.add_argument("--memory_gb", type=float, default=80.0)
    parser.add_argument("--meshes", default="", help="(data, model[, parts]) instead of what is chosen: 4x1,2x2x8")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:  # before JAX finds out how many devices there are
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    _table(options)


def _table(options: Any) -> None:
    from benchmarks.profiling import compiled_memory
    from munet.training.placement import fitting
    from munet.training.placement.device_memory import child_memory
    from munet.training.placement.fitting import Spread
    from munet.training.program.accumulation import part_size
    from munet.training.program.signature import Signature

    program, room = Signature.parse(options.program), int(options.memory_gb * 1e9)
    given = [Spread(*map(int, mesh.split("x"))) for mesh in options.meshes.split(",") if mesh]
    rows: list[tuple[int, Spread | None]] = [(spread.size, spread) for spread in given] or [
        (count, fitting.choose_spread([program], count, room)) for count in map(int, options.devices.split(","))
    ]
    print(
        "| devices | data x model | images at a time | parameters | training | activations | one child, each device "
        "| children at once |"
    )
    print("|---|---|---|---|---|---|---|---|" + ("---|" if options.check else ""))
    for count, chosen in rows:
        best = chosen or min(fitting.choices([program], count), key=lambda spread: fitting.need(program, spread).total)
        memory = child_memory(program, best.data, best.model, best.parts)
        sizes = (memory.params, memory.training, memory.activations, memory.total)
        fit = count // best.size * fitting.num_fitting(program, best, room) if chosen else 0
        part = part_size(program.batch_size, best.parts, best.data)
        cells = [str(count), f"{best.data} x {best.model}", str(part), *(f"{size / 1e9:.2f} GB" for size in sizes)]
        cells.append(str(fit) if chosen else "does not fit")
        if options.check:
            cells.append(f"XLA: {compiled_memory.of_children(program, best) / 1e9:.2f} GB")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
