"""Work for one thread a core, outside of Python: files, decoding images, compiling and running programs.

Settings of JAX that hold in a `with` block do not reach these threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """Cores that this process may use."""
    return max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], num_threads: int = 0) -> Iterator[Result]:
    """Results in order, from `num_threads` threads (0: one a core); only a few items ahead of what has been taken.

    An error of `work` is raised when its result is taken; what has not begun by then is given up. What is at work is
    waited for, but not by who is interrupted (KeyboardInterrupt): a compilation may take a minute.
    """
    num_threads = num_threads or num_cores()
    remaining = iter(items)
    with _workers(num_threads) as (pool, waiting):
        waiting += [pool.submit(work, item) for item in islice(remaining, 4 * num_threads)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(work, item) for item in islice(remaining, 1)]


def as_they_end(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of a few items as they are ready, from one thread a core; errors as in `in_threads`."""
    with _workers(num_cores()) as (pool, waiting):
        waiting += [pool.submit(work, item) for item in items]
        for future in as_completed(waiting):
            yield future.result()


@contextmanager
def _workers(num_threads: int) -> Iterator[tuple[ThreadPoolExecutor, list[Future[Any]]]]:
    """Threads, and a list of what they are given: what has not begun at the end is given up, what has is waited for.

    Not by who is interrupted.
    """
    pool, waiting, is_interrupted = ThreadPoolExecutor(num_threads), list[Future[Any]](), False
    try:
        yield pool, waiting
    except KeyboardInterrupt:
        is_interrupted = True
        raise
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=not is_interrupted)
