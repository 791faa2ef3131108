"""What is compiled, how often and how long, by JAX's own account; for benchmarks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from benchmarks.profiling.idle import Interval

_COMPILING = "/jax/core/compile/"  # tracing, lowering and compiling; what a program calls is traced inside its own
_COMPILED = f"{_COMPILING}backend_compile_duration"  # also where the cache on disk has the program
_FROM_CACHE = "/jax/compilation_cache/cache_hits"


class Compilations:
    """Programs made since `watched` began.

    Attributes:
      programs: how many were made of each name, from the cache or not.
      from_cache: of them, those that the cache on disk had.
      times: when one was traced, lowered, compiled or read in the thread that watches, on the clock of
        `time.perf_counter`; they overlap, because the functions that a program calls are traced inside of it.
    """

    def __init__(self) -> None:
        self.programs: Counter[str] = Counter()
        self.from_cache = 0
        self.times: list[Interval] = []
        self._thread = threading.get_ident()
        self._lock = threading.Lock()  # programs are compiled in several threads at once

    def _took(self, event: str, duration_secs: float, **about: str | int) -> None:
        if event == _COMPILED:
            with self._lock:
                self.programs[str(about.get("fun_name"))] += 1
        if event.startswith(_COMPILING) and threading.get_ident() == self._thread:
            now = time.perf_counter()
            self.times.append((now - duration_secs, now))

    def _happened(self, event: str, **_: str | int) -> None:
        with self._lock:
            self.from_cache += event == _FROM_CACHE


@contextmanager
def watched() -> Iterator[Compilations]:
    """Counts what is compiled inside of the block."""
    found = Compilations()
    jax.monitoring.register_event_duration_secs_listener(found._took)
    jax.monitoring.register_event_listener(found._happened)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(found._took)
        jax.monitoring.unregister_event_listener(found._happened)
