"""`--dry_run` of a joint training: data, length, memory and time, from measured blocks; nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jax
import numpy as np

from munet.joint.job import Job
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds
from munet.text import count, duration
from munet.training.program.compilation_cache import without_compilation_cache

_MIB = 1 << 20


def describe(job: Job) -> list[str]:
    """Lines for people: what the training will do, and about how long it will take."""
    measured = measure(job)
    devices, length = job.layout.devices, job.length
    seconds = measured.compilation + length.total * measured.round
    copies = 2 if job.keeps_best else 1
    images = f"{measured.image_bytes / _MIB:.0f} MiB of images"
    return [
        *job.words.summary,
        f"about {copies * measured.state_bytes / _MIB:.0f} MiB of parameters and optimiser, "
        f"{measured.working_bytes / _MIB:.0f} MiB to compute a {job.words.unit}, {images}, on each device",
        f"measured on {count(len(devices), f'{devices[0].device_kind} device')}: {measured.round * 1000:.1f} ms a "
        f"{job.words.unit}, {measured.compilation:.0f} s to compile {count(measured.programs, 'program')}",
        f"about {duration(seconds)} in all, without measuring and saving",
    ]


@dataclass(frozen=True)
class Times:
    """Seconds of wall time, and sizes on each device."""

    compilation: float
    round: float
    state_bytes: int
    image_bytes: int
    working_bytes: int  # of what a round computes, by XLA's own account
    programs: int


def measure(job: Job) -> Times:
    """Compiles the program and times some rounds, on a state that is thrown away."""
    mesh = mesh_of(job.layout, len(job.seeds))
    programs = Programs(job.learner, len(job.seeds), mesh)
    carried = programs.initial(job.seeds, [stream.name for stream in job.streams])
    state_bytes = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(carried))
    size = job.length.block
    rounds = Rounds(
        job.streams, job.seeds, size=size, num_rounds=size + 4, mesh=mesh, limit=job.free.max_resident,
        num_threads=job.free.decoding_threads,
    )  # fmt: skip
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(rounds.sets))
    times, started = [], time.perf_counter()
    try:
        with without_compilation_cache():
            picked = rounds.block(0, 1)
            program = programs.block(carried, picked, rounds.sets)
        compilation = time.perf_counter() - started
        for first, length in ((0, 1), (1, 3)):  # the first one touches its memory for the first time
            picked = rounds.block(first, min(length, size))
            started = time.perf_counter()
            carried = jax.block_until_ready(program(carried, picked, rounds.sets, np.int32(min(length, size))))
            times.append(time.perf_counter() - started)
    finally:
        rounds.close()
    working = int(program.memory_analysis().temp_size_in_bytes)
    round_seconds = times[1] / min(3, size)
    tasks = 1 if job.has_one_head or job.measure_all is not None else len(job.tasks)
    count = 1 + tasks + bool(job.keeps_best)
    return Times(compilation, round_seconds, state_bytes, held, working, count)
