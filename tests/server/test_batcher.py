"""When batches go, what they hold, and who is told what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from munet.server.batcher import Batcher
from munet.server.limits import BusyError


@contextmanager
def collecting(run: Any = None, **changes: Any) -> Iterator[tuple[Batcher, list[int]]]:
    """A batcher that answers numbers with their doubles, and the sizes of its batches."""
    sizes: list[int] = []
    settings: dict[str, Any] = {"max_images": 4, "max_wait": 5.0, "max_queue": 100, **changes}
    batcher = Batcher(run or (lambda given: [2 * one for one in given]), observe=sizes.append, **settings)
    try:
        yield batcher, sizes
    finally:
        batcher.close()


def test_nobody_waits_for_others_that_are_not_there() -> None:
    async def ask(batcher: Batcher) -> list[int]:
        return list(await asyncio.gather(*batcher.submit([1, 2])))

    with collecting() as (batcher, sizes):
        started = time.monotonic()
        assert asyncio.run(ask(batcher)) == [2, 4]
        assert time.monotonic() - started < 4
    assert sizes == [2]


def test_requests_join_while_one_is_being_read() -> None:
    async def ask(batcher: Batcher) -> list[int]:
        with batcher.coming():
            first = batcher.submit([1])
            await asyncio.sleep(0.2)
            assert not first[0].done()
            second = batcher.submit([2])
        return list(await asyncio.gather(*first, *second))

    with collecting() as (batcher, sizes):
        assert asyncio.run(ask(batcher)) == [2, 4]
    assert sizes == [2]


def test_an_image_waits_no_longer_than_it_may() -> None:
    async def ask(batcher: Batcher) -> int:
        with batcher.coming():  # which takes for ever
            return int(await asyncio.wait_for(batcher.submit([1])[0], 4))

    with collecting(max_wait=0.05) as (batcher, sizes):
        assert asyncio.run(ask(batcher)) == 2
    assert sizes == [1]


def test_a_full_batch_goes_at_once_and_no_batch_is_fuller() -> None:
    async def ask(batcher: Batcher) -> list[int]:
        with batcher.coming():
            full = await asyncio.wait_for(asyncio.gather(*batcher.submit(range(8))), 4)
        return [*full, *await asyncio.gather(*batcher.submit([9]))]

    with collecting() as (batcher, sizes):
        assert asyncio.run(ask(batcher)) == [*range(0, 16, 2), 18]
    assert sizes == [4, 4, 1]


def test_more_than_may_wait_is_refused() -> None:
    async def ask(batcher: Batcher) -> None:
        with batcher.coming():
            waiting = batcher.submit([1, 2])
            with pytest.raises(BusyError) as refused:
                batcher.submit([3, 4])
            assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
            with pytest.raises(BusyError), batcher.coming():
                pass
        assert await asyncio.gather(*waiting) == [2, 4]

    with collecting(max_queue=3) as (batcher, _):
        asyncio.run(ask(batcher))


def test_a_failure_is_told_to_all_of_its_batch_and_to_nobody_else() -> None:
    def run(given: Sequence[int]) -> list[int]:
        return [1 // one for one in given]

    async def ask(batcher: Batcher) -> None:
        with batcher.coming():
            waiting = batcher.submit([1, 0])
        assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [ZeroDivisionError] * 2
        assert await batcher.submit([1])[0] == 1

    with collecting(run) as (batcher, _):
        asyncio.run(ask(batcher))


def test_what_waits_is_answered_before_the_end() -> None:
    def slowly(given: Sequence[int]) -> Sequence[int]:
        time.sleep(0.1)
        return given

    async def ask() -> list[int]:
        with collecting(slowly) as (batcher, _):
            waiting = batcher.submit(range(9))
            await asyncio.to_thread(batcher.close)
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(ask()) == list(range(9))
