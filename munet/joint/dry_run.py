"""`--dry_run` of a joint training: data, length, memory and time, from measured blocks; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from munet.joint.job import Job
from munet.joint.program import Programs, mesh_of
from munet.joint.rounds import Rounds
from munet.progress import wording
from munet.text import count, duration
from munet.training.program.compilation_cache import without_compilation_cache

_MIB = 1 << 20


def describe(job: Job, say: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """Lines for people, as they are known: what the training will do, and about how long it will take.

    Args:
      job: the training.
      say: told about work that takes long, before it begins.
    """
    yield from job.words.summary
    say(wording.describe_measuring(f"some {job.words.unit}s"))
    measured = measure(job)
    devices, length = job.layout.devices, job.length
    seconds = measured.compilation + length.total * measured.round
    state = (2 if job.keeps_best else 1) * measured.state_bytes
    yield from (
        f"about {_mib(state + measured.image_bytes + measured.working_bytes)} on each device: {_mib(state)} of "
        f"parameters and optimiser, {_mib(measured.image_bytes)} of images, {_mib(measured.working_bytes)} for a round",
        f"measured on {count(len(devices), f'{devices[0].device_kind} device')}: {measured.round * 1000:.1f} ms a "
        f"{job.words.unit}, {measured.compilation:.0f} s to compile {count(measured.programs, 'program')}",
        f"about {duration(seconds)} in all, without measuring and saving",
    )


def activation_bytes(job: Job) -> float:
    """What a round takes on each device beside state and gradients, estimated."""
    return job.activation_bytes() * len(job.seeds) / len(job.layout.devices)


@dataclass(frozen=True)
class Times:
    """Seconds of wall time, and sizes on each device.

    Attributes:
      compilation: of the program that trains.
      round: of training.
      state_bytes, image_bytes: parameters and optimiser once; training sets.
      working_bytes: whatever else the program takes while it runs, as the compiler has it: batches, activations,
        gradients.
      programs: that a training compiles.
    """

    compilation: float
    round: float
    state_bytes: int
    image_bytes: int
    working_bytes: int
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
    try:
        picked = rounds.block(0, 1)
        started = time.perf_counter()
        with without_compilation_cache():
            program = programs.compiled_block(carried, picked, rounds.sets)
        compilation = time.perf_counter() - started
        carried = jax.block_until_ready(
            program(carried, picked, rounds.sets, np.int32(1))
        )  # what only a first run does
        length = min(3, size)
        picked = rounds.block(1, length)
        started = time.perf_counter()
        jax.block_until_ready(program(carried, picked, rounds.sets, np.int32(length)))
        round_seconds = (time.perf_counter() - started) / length
    finally:
        rounds.close()
    tasks = 1 if job.has_one_head or job.measure_all is not None else len(job.tasks)
    working = _working_bytes(program, held + state_bytes)
    working = round(activation_bytes(job)) if working is None else working
    return Times(compilation, round_seconds, state_bytes, held, working, 1 + tasks + bool(job.keeps_best))


def _working_bytes(program: Any, held: int) -> int | None:
    """What a compiled program takes on a device beyond what is held there anyway; None where that is not told."""
    try:
        told = program.memory_analysis()
    except Exception:  # backends without it raise what they like
        return None
    if told is None:
        return None
    outputs = told.output_size_in_bytes - told.alias_size_in_bytes  # the others lie where arguments were
    return max(told.temp_size_in_bytes + told.argument_size_in_bytes + outputs - held, 0)


def _mib(number: float) -> str:
    return f"{number / _MIB:.0f} MiB" if number >= _MIB else f"{number / _MIB:.1f} MiB"
