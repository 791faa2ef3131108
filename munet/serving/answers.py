"""Answers to any number of image files, in order: threads decode ahead of the device, and memory is bounded."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Array, Float

from munet import accelerators
from munet.data import photos
from munet.data.images import Pixels
from munet.errors import UserError
from munet.serving.inputs import Inputs
from munet.serving.prediction import Prediction
from munet.serving.predictor import BATCH_SIZES, Predictor, softmax
from munet.threads import num_cores
from munet.types import TaskName

_AHEAD_BYTES = 1 << 28  # of decoded images that wait for the device, at most, if two batches take less
_PATIENCE = 0.05  # seconds that an idle device waits for a batch to be filled
_POLL = 0.01
_ON_DEVICE = 2  # batches: the one that it works on and the next

Stored = Pixels | Sequence[Pixels]  # images as a kind stores them: of one shape, or of several
Read = Mapping[Inputs, Pixels]  # an image as each kind of stored images


@dataclass(frozen=True)
class Answer:
    """What is said of one file.

    Attributes:
      path: as it was given or found.
      predictions: of one image each, by task; empty if it could not be read.
      problem: why it could not; "" if it could.
    """

    path: str
    predictions: Mapping[TaskName, Prediction] = field(default_factory=dict)
    problem: str = ""


def only_task(tasks: Sequence[TaskName], solved: Sequence[TaskName]) -> TaskName:
    """The task of a run with one.

    Raises:
      UserError: there are several; those with a model are named.
    """
    if len(tasks) == 1:
        return tasks[0]
    shown = ", ".join(solved[:12]) or "none has a model yet"
    raise UserError(f"say which task, --task=NAME, or --all_tasks. Tasks with a model: {shown}.")


class Models(Protocol):
    """Who answers: one task's model (`Alone`), or those of several (`Together`)."""

    @property
    def tasks(self) -> Sequence[TaskName]:
        """Theirs, in the order of the answers."""

    @property
    def classes(self) -> Mapping[TaskName, Sequence[str]]:
        """Names of all classes of each task."""

    @property
    def kinds(self) -> Collection[Inputs]:
        """How images are read for them."""

    def dispatch(self, pixels: Mapping[Inputs, Stored]) -> Mapping[TaskName, Float[Array, "padded classes"]]:
        """Every task's logits of some images, without waiting; rows behind those of the images are of no use.

        Args:
          pixels: the same images as each of `kinds` reads them.
        """


class Alone:
    """One task's model.

    Args:
      predictor: of the task.
    """

    def __init__(self, predictor: Predictor):
        self._predictor = predictor
        self.tasks = (predictor.task,)
        self.classes = {predictor.task: predictor.classes}
        self.kinds = (predictor.inputs,)

    def dispatch(self, pixels: Mapping[Inputs, Stored]) -> dict[TaskName, Float[Array, "padded classes"]]:
        """See `Models`."""
        return {self._predictor.task: self._predictor.dispatch(pixels[self._predictor.inputs])}


def answers(models: Models, paths: Iterable[str]) -> Iterator[list[Answer]]:
    """What every task's model says of every file, in the order of the paths and as soon as it is known.

    While the device works on a batch the next one is decoded; an idle device does not wait for a whole one.

    Args:
      models: of one or more tasks.
      paths: of files; asked for by a thread, a bounded number ahead.

    Returns:
      Lists of those that became known together.
    """
    with photos.quietly(), _Pipeline(models, paths) as pipeline:
        while (batch := pipeline.take()) is not None:
            yield list(batch.answers(models))


@dataclass(frozen=True)
class _Item:
    path: str
    read: Mapping[Inputs, Pixels]
    problem: str = ""


@dataclass(frozen=True)
class _Batch:
    """Some files, and what the device makes of those that could be read: an array for each task."""

    items: Sequence[_Item]
    logits: Mapping[TaskName, Float[Array, "padded classes"]]

    def answers(self, models: Models) -> Iterator[Answer]:
        """In order, once the device is done."""
        probabilities = {task: softmax(np.asarray(logits)) for task, logits in self.logits.items()}
        row = 0
        for item in self.items:
            if item.problem:
                yield Answer(item.path, problem=item.problem)
                continue
            found = {
                task: Prediction(task, tuple(models.classes[task]), probabilities[task][row : row + 1])
                for task in models.tasks
            }
            row += 1
            yield Answer(item.path, found)


class _Pipeline:
    """From paths to batches on the device; a context that ends its threads.

    A thread asks for paths, one a core reads and decodes, one makes batches and hands them to the device.
    """

    def __init__(self, models: Models, paths: Iterable[str]):
        self._models, self._paths = models, paths
        self._kinds = tuple(models.kinds)
        self._size = 64 if accelerators.local_devices()[0].platform == "cpu" else BATCH_SIZES[-1]
        image_bytes = sum(int(np.prod(kind.shape or (kind.canvas, kind.canvas, 3))) for kind in self._kinds)
        self._room = threading.Semaphore(max(min(_AHEAD_BYTES // image_bytes, 8 * self._size), self._size))
        self._decoded: queue.Queue[Future[_Item] | BaseException | None] = queue.Queue()
        self._batches: queue.Queue[_Batch | BaseException | None] = queue.Queue()
        self._on_device = threading.Semaphore(_ON_DEVICE)
        self._handed_over, self._finished = 0, 0  # batches; each number is changed in one thread only
        self._stopped = threading.Event()

    def take(self) -> _Batch | None:
        """The next batch; None behind the last.

        Raises:
          Exception: whatever a thread could not go on for.
        """
        found = self._batches.get()
        if isinstance(found, BaseException):
            raise found
        if found is not None:
            jax.block_until_ready(found.logits)
            self._finished += 1
            self._on_device.release()
        return found

    def __enter__(self) -> _Pipeline:
        self._pool = ThreadPoolExecutor(num_cores())
        for work in (self._feed, self._make_batches):  # daemons: standard input may never end
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._room.release()  # whoever asks for paths may wait for it
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _feed(self) -> None:
        end: BaseException | None = None
        try:
            for path in self._paths:
                self._room.acquire()
                if self._stopped.is_set():
                    return
                self._decoded.put(self._pool.submit(self._read, path))
        except BaseException as error:  # raised in the thread that takes
            end = error
        self._decoded.put(end)

    def _read(self, path: str) -> _Item:
        try:
            data = photos.read_bytes(Path(path))
            return _Item(path, {kind: kind.read(data) for kind in self._kinds})
        except photos.BadImageError as error:
            return _Item(path, {}, str(error))
        except MemoryError:
            return _Item(path, {}, "it does not fit the memory")

    def _make_batches(self) -> None:
        try:
            items: list[_Item] = []
            begun, is_over = 0.0, False
            while not (is_over or self._stopped.is_set()):
                with contextlib.suppress(queue.Empty):
                    found = self._decoded.get(timeout=_POLL)
                    if isinstance(found, BaseException):
                        raise found
                    is_over = found is None
                    if found is not None:
                        items.append(found.result())
                        self._room.release()
                        begun = begun or time.monotonic()
                is_idle = self._handed_over == self._finished and time.monotonic() - begun > _PATIENCE
                if items and (len(items) == self._size or is_over or (is_idle and self._decoded.empty())):
                    self._hand_over(items)
                    items, begun = [], 0.0
            self._batches.put(None)
        except BaseException as error:
            self._batches.put(error)

    def _hand_over(self, items: Sequence[_Item]) -> None:
        while not self._on_device.acquire(timeout=_POLL):
            if self._stopped.is_set():
                return
        self._handed_over += 1
        readable = [item for item in items if not item.problem]
        pixels = {kind: [item.read[kind] for item in readable] for kind in self._kinds if readable}
        stored = {kind: np.stack(images) if kind.shape else images for kind, images in pixels.items()}
        self._batches.put(_Batch(items, self._models.dispatch(stored) if readable else {}))
