"""A small web server with the faults that real ones have, and a file for it to serve."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does; a test changes it.

    Attributes:
      files: bytes by path.
      has_ranges: whether it sends parts.
      tag: of all files; "": it has none.
      breaks: after how many bytes each of the next answers ends, whatever was announced.
      announces: the length it announces; None: the true one; -1: none.
      statuses: of the next answers, instead of files.
      pause: seconds before each answer.
      redirects: where a path leads to.
      seen: the ranges that were asked for, a request each ("": the whole file).
    """

    files: dict[str, bytes]
    has_ranges: bool = True
    tag: str = '"one"'
    breaks: list[int] = field(default_factory=list)
    announces: int | None = None
    statuses: list[int] = field(default_factory=list)
    pause: float = 0.0
    redirects: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)


@contextmanager
def serve(behaviour: Behaviour) -> Iterator[str]:
    """The server's URL while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, behaviour)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
    asked = handler.headers.get("Range", "")
    behaviour.seen.append(asked)
    time.sleep(behaviour.pause)
    path = handler.path.partition("?")[0]
    if path in behaviour.redirects:
        handler.send_response(302)
        handler.send_header("Location", behaviour.redirects[path])
        handler.end_headers()
        return
    status = behaviour.statuses.pop(0) if behaviour.statuses else 200 if path in behaviour.files else 404
    if status != 200:
        handler.send_error(status)
        return
    data = behaviour.files[path]
    start = 0
    match = re.fullmatch(r"bytes=(\d+)-", asked)
    if match and behaviour.has_ranges and handler.headers.get("If-Range", behaviour.tag) == behaviour.tag:
        start = int(match[1])
        if start >= len(data):
            handler.send_error(416)
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    else:
        handler.send_response(200)
    length = len(data) - start if behaviour.announces is None else behaviour.announces
    if length >= 0:
        handler.send_header("Content-Length", str(length))
    if behaviour.tag:
        handler.send_header("ETag", behaviour.tag)
    handler.end_headers()
    end = start + behaviour.breaks.pop(0) if behaviour.breaks else len(data)
    handler.wfile.write(data[start:end])
