"""What is compiled, by JAX's own account."""

from __future__ import annotations

import threading
import time

import jax
import jax.numpy as jnp

from benchmarks.profiling.compilations import watched
from benchmarks.profiling.idle import length, union


def twice(value: jax.Array) -> jax.Array:
    return jax.jit(jnp.sin)(value) * 2


def test_a_program_is_counted_once_by_its_name() -> None:
    program, value = jax.jit(twice), jnp.ones(7)
    with watched() as first:
        started = time.perf_counter()
        program(value)
        ended = time.perf_counter()
    with watched() as again:
        program(value)
    assert first.programs["jit(twice)"] == 1
    assert not again.programs
    assert not again.times
    assert 0 < length(union(first.times)) <= ended - started
    assert all(started <= start <= end <= ended for start, end in first.times)


def test_programs_of_other_threads_are_counted_but_take_no_time_of_this_one() -> None:
    value = jnp.ones(5)
    with watched() as found:
        thread = threading.Thread(target=lambda: jax.jit(lambda x: x + 3)(value))
        thread.start()
        thread.join()
    assert found.programs.total() == 1
    assert not found.times


def test_nothing_is_counted_after_the_end() -> None:
    with watched() as found:
        pass
    jax.jit(lambda x: x - 4)(jnp.ones(3))
    assert not found.programs
