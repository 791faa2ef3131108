"""What stands behind the endpoints: the models, the batches, and threads that decode, compile and follow."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request

from munet.data import photos
from munet.errors import GoneOnError
from munet.server import bodies
from munet.server.batcher import Batcher
from munet.server.bodies import Upload
from munet.server.described import describe
from munet.server.limits import Limits, TooLargeError
from munet.server.metrics import Metrics
from munet.server.models import Answer, Image, Models, check_size, open_tasks
from munet.serving.device_components import DeviceComponents
from munet.system.view import RunView
from munet.threads import num_cores
from munet.types import TaskName

# Of images that are decoded faster than a thread would begin to.
_GONE_ON_SECONDS = 0.2  # before a run that has gone on is opened again
_SMALL_PIXELS, _SMALL_BYTES = 1 << 14, 1 << 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class Serving:
    """What is served, and how.

    Attributes:
      workdir: of the run.
      tasks: that are served; none: all.
      max_batch: images of a batch.
      max_wait: seconds that an image may wait for others.
      follow: seconds between two looks at the run; 0: it is read once.
    """

    workdir: str
    tasks: tuple[TaskName, ...] = ()
    max_batch: int = 64
    max_wait: float = 0.005
    follow: float = 0.0


class Service:
    """Answers requests with the models of a run.

    Args:
      serving: what is served.
      limits: what a client may send.
      say: is told what happens.
      on_failure: is called when the models cannot be loaded, which `failure` tells then.

    Attributes:
      metrics: the numbers.
      failure: why nothing can be served.
      is_loading: whether something is being compiled.
      decoding: images that are being decoded by a thread.
    """

    def __init__(self, serving: Serving, limits: Limits, say: Say, on_failure: Callable[[], None] = lambda: None):
        self.serving, self.limits, self.metrics = serving, limits, Metrics()
        self.failure: Exception | None = None
        self.is_loading = False
        self.decoding = 0
        self._say, self._on_failure = say, on_failure
        self._models: Models | None = None
        self._ended = threading.Event()
        self._batcher = Batcher(
            self._answer_batch,
            max_images=serving.max_batch,
            max_wait=serving.max_wait,
            max_queue=limits.queue,
            observe=self.metrics.batch.observe,
        )
        self._decoders = ThreadPoolExecutor(num_cores(), thread_name_prefix="decode")
        self._counting = threading.Lock()

    @property
    def waiting(self) -> int:
        """Images in the queue."""
        return self._batcher.waiting

    def ready_models(self) -> Models:
        """What answers.

        Raises:
          HTTPException: 503 as long as nothing is ready.
        """
        if self._models is None:
            raise HTTPException(503, "Programs are being compiled; try again.", {"Retry-After": "2"})
        return self._models

    def described(self) -> list[dict[str, Any]]:
        """The tasks, for `GET /v1/tasks`."""
        models = self.ready_models()
        return [describe(models, task) for task in models.tasks]

    async def answer(self, request: Request, tasks: Sequence[TaskName]) -> list[tuple[str, dict[TaskName, Answer]]]:
        """Reads a request's images and answers them.

        Args:
          request: with the images.
          tasks: that are to answer.

        Returns:
          The images' names, and what the models say of each.

        Raises:
          HTTPException: whatever is wrong with the request; 503 if a task's model got lost.
        """
        with self._batcher.coming():
            uploads = await bodies.read(request, self.limits)
            read = [self._read_in_time(upload, tasks) for upload in uploads]
            images = await asyncio.gather(*read, return_exceptions=True)
            for image in images:
                if isinstance(image, BaseException):
                    raise image
            waiting = self._batcher.submit(images)
        found: list[dict[TaskName, Answer]] = await asyncio.gather(*waiting)
        for task in tasks:
            if not all(task in answers for answers in found):
                raise HTTPException(503, f"Task {task!r} is served no more: it is forgotten, or its files are damaged.")
            self.metrics.images.labels(task).inc(len(found))
        return [(upload.name, answers) for upload, answers in zip(uploads, found, strict=True)]

    async def _read_in_time(self, upload: Upload, tasks: Sequence[TaskName]) -> Image:
        """Decodes an image, once it is known how large it is; the event loop decodes only what is done in no time."""
        models = self.ready_models()
        if (pixels := check_size(upload.data, self.limits.pixels)) > self.limits.pixels:
            raise TooLargeError(
                f"Image {upload.name!r} has {pixels:,} pixels or more; at most {self.limits.pixels:,} are taken."
            )
        try:
            if pixels <= _SMALL_PIXELS and len(upload.data) <= _SMALL_BYTES:
                return models.read(upload.data, tasks)
            return await asyncio.get_running_loop().run_in_executor(self._decoders, self._decode, models, upload, tasks)
        except photos.BadImageError as error:
            raise HTTPException(422, f"Image {upload.name!r} cannot be used: {error}.") from error

    def _decode(self, models: Models, upload: Upload, tasks: Sequence[TaskName]) -> Image:
        with self._counting:
            self.decoding += 1
        try:
            return models.read(upload.data, tasks)
        finally:
            with self._counting:
                self.decoding -= 1

    def _answer_batch(self, images: Sequence[Image]) -> list[dict[TaskName, Answer]]:
        return self.ready_models().answer(images)

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Around the time that the application answers: loads and follows in a thread of its own."""
        with photos.quietly():
            threading.Thread(target=self._load, name="models", daemon=True).start()
            try:
                yield
            finally:
                await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Answers what waits, and ends the threads; what is not decoded by now nobody waits for any more."""
        self._ended.set()
        self._batcher.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> None:
        """Loads the models, and looks for newer ones as long as the server lives."""
        started = time.monotonic()
        components: DeviceComponents | None = None
        seen = -1
        while not self._ended.is_set():
            try:
                system, tasks = open_tasks(self.serving.workdir, self.serving.tasks)
                if tasks and (self._models is None or seen != len(system.store.journal)):
                    seen = len(system.store.journal)
                    components = components or DeviceComponents(system.store.components)
                    self._make_ready(system, tasks, components, started)
            except GoneOnError:
                seen = -1
                self._ended.wait(_GONE_ON_SECONDS)
                continue  # with the run as it is now
            except Exception as error:
                if self._models is None:
                    self.failure = error
                    self._on_failure()
                    return
                self._say(f"The run in {self.serving.workdir} cannot be read again: {error}")
            if not self.serving.follow:
                return
            self._ended.wait(self.serving.follow)

    def _make_ready(
        self, system: RunView, tasks: Sequence[TaskName], components: DeviceComponents, started: float
    ) -> None:
        """Compiles what is retained now, if it is not what answers already, and answers with it."""
        before = self._models
        new = {task: system.model(task).id for task in tasks}
        if before is not None and new == {task: before.system.model(task).id for task in before.tasks}:
            return
        self.is_loading = True
        models = Models.load(system, tasks, components)
        models.warm_up(self.serving.max_batch)
        self.take_up(models)
        self.is_loading = False
        components.keep(id for task in models.tasks for id in system.model(task).components.values())
        if before is None:
            self._say(f"Ready after {time.monotonic() - started:.1f} s.")
        else:
            changed = [task for task in models.tasks if new[task] != _id_before(before, task)]
            gone = [task for task in before.tasks if task not in new]
            said = [f"Newer models are served: {', '.join(changed)}."] if changed else []
            said += [f"No longer served: {', '.join(gone)}."] if gone else []
            self._say(" ".join(said))

    def take_up(self, models: Models) -> None:
        """Answers with some models from the next batch on."""
        self._models = models
        for task in models.tasks:
            self.metrics.model.labels(task).set(models.system.model(task).id)
        for task, reason in models.broken.items():
            self._say(f"Task {task!r} is not served: {reason}")
        self.metrics.is_ready.set(1)


def _id_before(models: Models, task: TaskName) -> int | None:
    """The id of the model that answered for a task; None if none did."""
    return models.system.model(task).id if task in models.tasks else None
