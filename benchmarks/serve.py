"""How fast `munet serve` answers: one client against a forward pass, many clients against full batches.

    python -m benchmarks.serve WORKDIR [--task=T] [--clients=64] [--seconds=10] [--side=0] [--requests=0]

Starts a server of the run and prints one JSON line. `forward_ms` is the median of a warm `Predictor` on one image that
is read already, `predict_ms` the same from the bytes of its PNG; `one_client_ms` the median and `one_client_p95_ms` the
95th percentile of one client that sends this PNG as the body, again and again; `healthz_ms` is what a request costs
that asks no model. `batch_images_s` is the rate of batches of 64 images that are read already, `decoded_images_s` that
of such batches from PNGs, and `clients_images_s` what all clients get together, each with one image a request; the
clients are threads of this process and take part of the same cores. With `--requests`, so many more requests of all
clients together: how many were answered a second (`soak_requests_s`), and resident memory of the server when it was
ready, after a tenth of them and after all (`memory_mb`).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import io
import json
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jax
import numpy as np
from PIL import Image

import munet

_BATCH = 64


@contextmanager
def serving(workdir: str) -> Iterator[tuple[str, int]]:
    """A server that is ready: where, and which process."""
    command = [sys.executable, "-m", "munet", "serve", f"--workdir={workdir}", "--port=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            found = found or re.search(r"http://\S+", line)
            if "Ready after" in line:
                break
        assert found is not None
        try:
            yield found[0], process.pid
        finally:
            process.send_signal(signal.SIGTERM)


class Client:
    """A connection that stays open; nothing between the socket and the question, so that little of a core is taken."""

    def __init__(self, url: str):
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)

    def ask(self, path: str, body: bytes | None = None) -> None:
        self._connection.request("POST" if body else "GET", path, body)
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {text!r}")


def median_ms(work: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Median and 95th percentile of as many turns as fit, after three."""
    for _ in range(3):
        work()
    turns: list[float] = []
    ended = time.perf_counter() + seconds
    while time.perf_counter() < ended or len(turns) < 20:
        started = time.perf_counter()
        work()
        turns.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(turns), 2), round(statistics.quantiles(turns, n=20)[-1], 2)


def rate(url: str, path: str, body: bytes, clients: int, seconds: float, requests: int = 0) -> float:
    """Answers a second that some clients get together, each asking again once it is answered."""
    answered, lock = [0], threading.Lock()
    ended = time.perf_counter() + seconds

    def client(_: int) -> None:
        own = Client(url)
        while answered[0] < requests if requests else time.perf_counter() < ended:
            own.ask(path, body)
            with lock:
                answered[0] += 1

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return answered[0] / (time.perf_counter() - started)


def resident_mb(process: int) -> float:
    """Resident memory of a process (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / (1 << 20)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    system = munet.open(options.workdir)
    task = options.task or next(iter(system.models))
    predictor = system.predictor(task)
    height, width, channels = predictor.inputs.shape or (32, 32, 3)
    if options.side:
        height = width = options.side
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise if channels == 3 else noise[..., 0]).save(stream, "PNG")
    data = stream.getvalue()
    one = predictor.inputs.read(data)[None]
    many = np.repeat(one, _BATCH, axis=0)
    forward, _ = median_ms(lambda: predictor.logits(one), options.seconds / 4)
    predicted, _ = median_ms(lambda: predictor.predict(data), options.seconds / 4)
    batch, _ = median_ms(lambda: predictor.logits(many), options.seconds / 4)
    decoded, _ = median_ms(lambda: predictor.predict([data] * _BATCH), options.seconds / 4)
    found: dict[str, Any] = {
        "task": task,
        "forward_ms": forward,
        "predict_ms": predicted,
        "batch_images_s": round(1000 * _BATCH / batch, 1),
        "decoded_images_s": round(1000 * _BATCH / decoded, 1),
    }
    path = f"/v1/tasks/{quote(task)}/predict"
    with serving(options.workdir) as (url, process):
        ready = resident_mb(process)
        client = Client(url)
        found["healthz_ms"], _ = median_ms(lambda: client.ask("/healthz"), options.seconds / 4)
        found["one_client_ms"], found["one_client_p95_ms"] = median_ms(lambda: client.ask(path, data), options.seconds)
        rate(url, path, data, options.clients, options.seconds / 4)  # warm
        found["clients_images_s"] = round(rate(url, path, data, options.clients, options.seconds), 1)
        if options.requests:
            rate(url, path, data, options.clients, 0, options.requests // 10)
            tenth = resident_mb(process)
            left = options.requests - options.requests // 10
            found["soak_requests_s"] = round(rate(url, path, data, options.clients, 0, left), 1)
            found["memory_mb"] = [round(size, 1) for size in (ready, tenth, resident_mb(process))]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", metavar="WORKDIR")
    parser.add_argument("--task", default="", help="default: the run's first")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--side", type=int, default=0, help="pixels on a side of the PNG (default: as stored)")
    parser.add_argument("--requests", type=int, default=0)
    options = parser.parse_args(arguments)
    device = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "clients": options.clients}
    print(json.dumps({**device, **measure(options)}))


if __name__ == "__main__":
    main()
