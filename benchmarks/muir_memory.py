"""What a MUiR training takes of memory: as it is estimated, as the compiler has it, and as the process grows.

    python -m benchmarks.muir_memory [--config=muir:cross_modal,short] [--replicas=3] [--data_dir=../shared/tfds]

Prints one JSON line, sizes in MiB. `estimate`: what `check_replicas` counts, a best version left out; `dry_run`: what
`--dry_run` says; `measured`: what lies there before, and by how much more the process grew in two rounds (Linux).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from configs import muir
from munet.config.checks import validate
from munet.joint.memory import replica_bytes
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds
from munet.methods.muir import job

_STATUS, _MIB = Path("/proc/self/status"), 1 << 20


def _status(name: str) -> int:
    """Bytes of the process: `VmRSS` now, `VmHWM` at most."""
    lines = (line.split() for line in _STATUS.read_text("ascii").splitlines())
    return next(int(words[1]) << 10 for words in lines if words[0] == f"{name}:")


def measured(variant: str, replicas: int, data_dir: str) -> dict[str, float]:
    """The three sizes of a training."""
    config = muir.get_config(variant)
    config.experiment.replicas, config.runtime.data_dir = replicas, data_dir
    prepared = job.prepare(validate(config))
    mesh = mesh_of(prepared.layout, replicas)
    programs = Programs(prepared.learner, replicas, mesh)
    carried = programs.initial(prepared.seeds, [stream.name for stream in prepared.streams])
    size = prepared.length.block
    rounds = Rounds(prepared.streams, prepared.seeds, size=size, num_rounds=size, mesh=mesh, limit=1e12)
    picked = rounds.block(0, 2)
    state, sets = (sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in (carried, rounds.sets))
    program = programs.compiled_block(carried, picked, rounds.sets)
    told = program.memory_analysis()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the most that the process ever had is forgotten
    before = _status("VmRSS")
    jax.block_until_ready(program(carried, picked, rounds.sets, np.int32(2)))
    grown = _status("VmHWM") - before
    rounds.close()
    outputs = told.output_size_in_bytes - told.alias_size_in_bytes
    estimate = replicas * replica_bytes(state / replicas, prepared.activation_bytes(), keeps_best=False)
    sizes = {
        "state": state,
        "images": sets,
        "estimate": sets + estimate,
        "dry_run": told.argument_size_in_bytes + told.temp_size_in_bytes + outputs,
        "measured": state + sets + grown,
    }
    return {name: round(number / _MIB, 1) for name, number in sizes.items()}


def main() -> None:
    """Measures one training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="muir:cross_modal,short")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--data_dir", default="../shared/tfds")
    given = parser.parse_args()
    sizes = measured(given.config.removeprefix("muir:"), given.replicas, given.data_dir)
    print(json.dumps({"config": given.config, "replicas": given.replicas, **sizes}))


if __name__ == "__main__":
    main()
