"""`--dry_run` of a joint training: data, length, memory and time, from measured rounds; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from munet.joint.job import Job
from munet.joint.learner import StreamName
from munet.joint.program import Carried, Programs, mesh_of
from munet.joint.rounds import Picked, Rounds
from munet.progress import wording
from munet.text import count, duration
from munet.training.program.compilation_cache import without_compilation_cache

_MIB = 1 << 20
_LONG = 10.0  # seconds of a round, after which no further ones are timed


def describe(job: Job, say: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """Lines for people, as they are known: what the training will do, and about how long it will take.

    Args:
      job: the training.
      say: told about work that takes long, before it begins.
    """
    yield from job.words.summary
    say(wording.describe_measuring(f"some {job.words.unit}s"))
    with _compiled(job) as block:  # which tells the memory, minutes before rounds of a large model are timed
        state, images, working = (
            (2 if job.keeps_best else 1) * block.state_bytes,
            block.image_bytes,
            block.working_bytes,
        )
        yield (
            f"about {_mib(state + images + working)} on each device: {_mib(state)} of parameters and optimiser, "
            f"{_mib(images)} of {job.example}s, {_mib(working)} for a round"
        )
        measured = block.times()
    devices, length = job.layout.devices, job.length
    timed = f"{measured.round * 1000:.1f} ms" if measured.round < _LONG else duration(measured.round)
    yield from (
        f"measured on {count(len(devices), f'{devices[0].device_kind} device')}: {timed} a {job.words.unit}, "
        f"{measured.compilation:.0f} s to compile {count(measured.programs, 'program')}",
        f"about {duration(measured.compilation + length.total * measured.round)} in all, without measuring and saving",
    )


def activation_bytes(job: Job) -> float:
    """What a round takes on each device beside state and gradients, estimated."""
    return job.activation_bytes() * len(job.seeds) / len(job.layout.devices)


@dataclass(frozen=True)
class Times:
    """Seconds of wall time.

    Attributes:
      compilation: of the program that trains.
      round: of training.
      programs: that a training compiles.
    """

    compilation: float
    round: float
    programs: int


def measure(job: Job) -> Times:
    """Compiles the program and times some rounds, on a state that is thrown away."""
    with _compiled(job) as block:
        return block.times()


@dataclass(frozen=True)
class _Block:
    """The program of a block of rounds.

    Attributes:
      job: the training.
      program: compiled for what follows.
      carried, picked: the state at the beginning, and what the first round has.
      rounds: of the training.
      compilation: seconds of wall time that it took.
      state_bytes, image_bytes: on each device: parameters and optimiser once; training sets.
      working_bytes: whatever else the program takes while it runs, as the compiler has it: batches, activations,
        gradients.
    """

    job: Job
    program: Any
    carried: Carried
    picked: Mapping[StreamName, Picked]
    rounds: Rounds
    compilation: float
    state_bytes: int
    image_bytes: int
    working_bytes: int

    def times(self) -> Times:
        """Of rounds after the first, in which things are done that only a first run does; of it alone if it is long."""
        carried, seconds = self._timed(self.carried, self.picked, 1)
        if seconds < _LONG:
            length = min(3, self.job.length.block)
            _, seconds = self._timed(carried, self.rounds.block(1, length), length)
            seconds /= length
        job = self.job
        tasks = 1 if job.has_one_head or job.measure_all is not None else len(job.tasks)
        return Times(self.compilation, seconds, 1 + tasks + bool(job.keeps_best))

    def _timed(self, carried: Carried, picked: Mapping[StreamName, Picked], length: int) -> tuple[Carried, float]:
        started = time.perf_counter()
        carried = jax.block_until_ready(self.program(carried, picked, self.rounds.sets, np.int32(length)))
        return carried, time.perf_counter() - started


@contextmanager
def _compiled(job: Job) -> Iterator[_Block]:
    """The program of a training, compiled anew; in this block its data are there."""
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
        working = _working_bytes(program, held + state_bytes)
        working = round(activation_bytes(job)) if working is None else working
        yield _Block(job, program, carried, picked, rounds, compilation, state_bytes, held, working)
    finally:
        rounds.close()


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
