"""A socket that is ours, and a server on it that ends with a signal but leaves the exit code to us."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any

from munet.errors import UserError


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens to nobody yet.

    Raises:
      UserError: the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host={host}: {getattr(error, 'strerror', None) or error}; expected an address.") from error
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
        opened.listen(1024)  # so that a second server is refused from now on
    except OSError as error:
        opened.close()
        raise UserError(
            f"--port={port}: {host} port {port} cannot be used: {error.strerror or error}. Give another one; --port=0 "
            "takes any that is free."
        ) from error
    return opened


def server(app: Any, ending_seconds: int) -> Any:
    """A uvicorn server of an application, to be run on a socket.

    Args:
      app: in ASGI.
      ending_seconds: that requests in flight have to be answered.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn's server, which does not end with the signal that ended it."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def stop(number: int, frame: FrameType | None) -> None:
                self.handle_exit(number, frame)

            before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Server(
        uvicorn.Config(
            app,
            http="h11",  # httptools, which uvicorn prefers where it is installed, takes headers without end
            log_level="error",  # it warns of requests that are none, which strangers may send as they like
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=ending_seconds,
        )
    )
