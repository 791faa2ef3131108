"""Micro-batches across requests and tasks: one thread that runs models, and what waits for it.

A batch goes when it is full, when its first image has waited long enough, or when no other image is on its way: a
single client never waits for others that are not there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from munet.server.limits import BusyError


@dataclass(eq=False)
class Item:
    """An image that waits, or that a batch answers.

    Attributes:
      content: what the models need of it.
      future: of its answer.
      arrived: when it was put into the queue.
    """

    content: Any
    future: asyncio.Future[Any]
    arrived: float = field(default_factory=time.monotonic)


class Batcher:
    """Collects images to batches and answers them, one batch after the other, in a thread of its own.

    Args:
      run: answers the contents of a batch, in their order.
      max_images: of a batch.
      max_wait: seconds that an image may wait for others.
      max_queue: images that may be on their way or wait; more are refused.
      observe: is told of how many images each batch was.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Any]], Sequence[Any]],
        *,
        max_images: int,
        max_wait: float,
        max_queue: int,
        observe: Callable[[int], None] = lambda _: None,
    ):
        self._run, self._observe = run, observe
        self._max_images, self._max_wait, self._max_queue = max_images, max_wait, max_queue
        self._queue: deque[Item] = deque()
        self._coming = 0  # requests whose images are being read
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images in the queue."""
        return len(self._queue)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Around the reading of a request, whose images are worth waiting for.

        Raises:
          BusyError: too many are on their way or wait.
        """
        with self._changed:
            if self._coming + len(self._queue) >= self._max_queue:
                raise BusyError("Too many images wait; try again.")
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify()

    def submit(self, contents: Sequence[Any]) -> list[asyncio.Future[Any]]:
        """Puts images into the queue; to be called in the event loop that waits for the answers.

        Raises:
          BusyError: there is no room for all of them.
        """
        loop = asyncio.get_running_loop()
        items = [Item(content, loop.create_future()) for content in contents]
        with self._changed:
            if len(self._queue) + len(items) > self._max_queue:
                raise BusyError("Too many images wait; try again.")
            self._queue.extend(items)
            self._changed.notify()
        return [item.future for item in items]

    def close(self) -> None:
        """Answers what waits, and ends the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while items := self._next():
            self._observe(len(items))
            answers: Sequence[Any]
            try:
                answers = self._run([item.content for item in items])
            except Exception as error:  # a failure of ours, which each request answers for itself
                answers = [error] * len(items)
            loop = items[0].future.get_loop()
            loop.call_soon_threadsafe(_resolve, items, answers)

    def _next(self) -> list[Item]:
        """The next batch; empty when all is done."""
        with self._changed:
            while not self._queue and not self._is_closed:
                self._changed.wait()
            while self._queue and len(self._queue) < self._max_images and self._coming and not self._is_closed:
                left = self._queue[0].arrived + self._max_wait - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return [self._queue.popleft() for _ in range(min(self._max_images, len(self._queue)))]


def _resolve(items: Sequence[Item], answers: Sequence[Any]) -> None:
    """In the event loop: whoever was given up meanwhile is passed over."""
    for item, answer in zip(items, answers, strict=True):
        if item.future.done():
            continue
        if isinstance(answer, Exception):
            item.future.set_exception(answer)
        else:
            item.future.set_result(answer)
