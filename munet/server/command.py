"""`munet serve`: from options to a server that ends well."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import socket
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from munet.errors import UserError
from munet.server import listening
from munet.text import count, say

if TYPE_CHECKING:
    from munet.server.limits import Limits

_NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus_client",
}  # by module
_ENDING_SECONDS = 8  # that requests in flight have to be answered
_MAX_BATCH = 256
_SWITCH_SECONDS = 0.001  # between threads; Python's 5 ms are longer than many a forward pass, which would wait for them


@dataclass(frozen=True)
class Options:
    """What `munet serve` is asked for; as the command line has it.

    Attributes:
      workdir: of the run.
      tasks: that are served; none: all that have a model.
      host, port: where; port 0: a free one.
      token_file: of tokens that clients must name, one a line; "": none is needed.
      max_batch, max_wait_ms: images of a batch, and how long one may wait for others.
      follow: seconds between two looks for newer models; 0: none.
      max_body_mb, max_images, max_megapixels, max_queue: limits on bodies, requests, images and what may wait.
      body_seconds: within which a body has to arrive.
      cache_dir: of compiled programs, as `runtime.cache_dir`.
    """

    workdir: str
    tasks: tuple[str, ...] = field(default=())
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: str = ""
    max_batch: int = 64
    max_wait_ms: float = 5.0
    follow: float = 0.0
    max_body_mb: float = 32.0
    max_images: int = 64
    max_megapixels: float = 50.0
    max_queue: int = 1024
    body_seconds: float = 30.0
    cache_dir: str = ""


def serve(options: Options) -> None:
    """Serves until SIGTERM or Ctrl-C; those in flight are answered then.

    Raises:
      UserError: the run, an option or the port cannot be used, or a package is missing.
    """
    check_packages()
    _check(options)
    from munet.server.access import read_tokens
    from munet.server.models import check_served, open_tasks

    tokens = read_tokens(options.token_file)
    with contextlib.closing(listening.bound(options.host, options.port)) as bound:
        tasks = open_tasks(options.workdir, options.tasks)[1]
        if not options.follow:
            check_served(tasks, options.workdir, options.tasks)
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        served = count(len(tasks), "task") if len(tasks) != 1 else f"task {tasks[0]!r}"
        _say(f"Serves {served} of {options.workdir} on http://{shown}:{port}/ (Ctrl-C ends it). Compiling ...")
        if not ipaddress.ip_address(host).is_loopback:
            who = "everybody who has a token" if tokens else "everybody"
            _say(f"Warning: {host} can be reached from other machines: {who} there may ask, and nothing is encrypted.")
        _run(options, tokens, bound)


def check_packages(what: str = "munet serve") -> None:
    """Refuses to start without the packages of the extra.

    Args:
      what: is to be started.

    Raises:
      UserError: one is missing.
    """
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise UserError(
            f"{what} needs {', '.join(missing)}: pip install -e '.[serve]' in munet's folder (the extra `serve`)."
        )


def _check(options: Options) -> None:
    """Refuses numbers that cannot be meant.

    Raises:
      UserError: one is out of its range.
    """
    if not 0 <= options.port <= 65535:
        raise UserError(f"--port={options.port}: expected 0 to 65535; 0: a free one.")
    if not 1 <= options.max_batch <= _MAX_BATCH:
        raise UserError(f"--max_batch={options.max_batch}: expected 1 to {_MAX_BATCH} images.")
    if not 0 <= options.max_wait_ms <= 10_000:
        raise UserError(f"--max_wait_ms={options.max_wait_ms:g}: expected 0 to 10000.")
    for name in ("max_body_mb", "max_images", "max_megapixels", "max_queue", "body_seconds"):
        if not 0 < getattr(options, name) < math.inf:
            raise UserError(f"--{name}={getattr(options, name):g}: expected a number of more than 0.")
    if not 0 <= options.follow < math.inf:
        raise UserError(f"--follow={options.follow:g}: expected seconds, 0 or more.")


def limits_of(options: Options) -> Limits:
    """What a client may send; whatever one request may hold has room, or it would be told to try again for ever."""
    from munet.server.limits import Limits

    body_bytes = int(options.max_body_mb * (1 << 20))
    return Limits(
        body_bytes=body_bytes,
        held_bytes=max(Limits.held_bytes, body_bytes),
        images=min(options.max_images, options.max_queue),
        pixels=int(options.max_megapixels * 1e6),
        queue=options.max_queue,
        body_seconds=options.body_seconds,
    )


def _run(options: Options, tokens: tuple[bytes, ...], bound: socket.socket) -> None:
    from munet.server.app import make_app
    from munet.server.service import Service, Serving
    from munet.training.program.compilation_cache import use_compilation_cache

    use_compilation_cache(options.cache_dir)
    sys.setswitchinterval(_SWITCH_SECONDS)
    serving = Serving(
        options.workdir, options.tasks, options.max_batch, options.max_wait_ms / 1000, follow=options.follow
    )

    def fail() -> None:
        server.should_exit = True

    service = Service(serving, limits_of(options), _say, on_failure=fail)
    server = listening.server(make_app(service, tokens), _ENDING_SECONDS)
    server.run(sockets=[bound])
    if service.failure is not None:
        raise service.failure
    metrics = service.metrics
    _say(f"Ended: {metrics.answered:,} of {count(metrics.accepted, 'request')} answered.")
    # When Python tidies up, XLA, interrupted in a compilation, may take the process down, and images that are being
    # decoded are waited for.
    if service.is_loading or service.decoding:
        sys.stderr.flush()
        os._exit(0)


def _say(text: str) -> None:
    say(f"munet: {text}", sys.stderr)
