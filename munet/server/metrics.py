"""What `/metrics` says, in Prometheus's text format."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_NO_ROUTE = "other"  # what has no route of its own, so that strangers' addresses make no labels


class Metrics:
    """The numbers of one server.

    Attributes:
      images: that were answered, by task.
      batch: images of each batch.
      queue: images that wait.
      is_ready: 1 once everything is compiled.
      model: the id of the model that answers, by task.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("munet_requests", "Requests answered.", ["endpoint", "code"], registry=registry)
        self._seconds = Histogram(
            "munet_request_seconds", "From headers to answer.", ["endpoint"], buckets=_SECONDS, registry=registry
        )
        self.images = Counter("munet_images", "Images answered.", ["task"], registry=registry)
        self.batch = Histogram("munet_batch_images", "Images in a batch.", buckets=_IMAGES, registry=registry)
        self.queue = Gauge("munet_queue_images", "Images that wait.", registry=registry)
        self.is_ready = Gauge("munet_ready", "1 once everything is compiled.", registry=registry)
        self.model = Gauge("munet_model", "Id of the model that answers.", ["task"], registry=registry)
        self.accepted = self.answered = 0  # requests, for the last line of the server

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)

    def count(self, endpoint: str, code: int, seconds: float) -> None:
        """A request that was answered."""
        self._requests.labels(endpoint, str(code)).inc()
        self._seconds.labels(endpoint).observe(seconds)


class Counted:
    """ASGI middleware that counts requests and times them.

    Args:
      app: what comes behind.
      metrics: where they are counted.
    """

    def __init__(self, app: Any, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, code = time.perf_counter(), 500
        self._metrics.accepted += 1

        async def noted(message: Any) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._metrics.answered += 1

        try:
            await self._app(scope, receive, noted)
        finally:
            endpoint = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._metrics.count(endpoint, code, time.perf_counter() - started)
