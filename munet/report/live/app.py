"""The report of a running evolution over HTTP: the page, what is new in it, and events that tell of it.

The page asks for `report.json` whenever an event names another length of the journal than the one that it shows.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, StreamingResponse

from munet.report.page import html, report, source
from munet.report.page.parts import Report
from munet.store import Store

LOOK_SECONDS = 0.5  # between two looks at the journal
_QUIET_SECONDS = 15.0  # after which a line that says nothing keeps the connection
_HOSTS = ["127.0.0.1", "localhost", "[::1]"]  # so that no page elsewhere can read it under another name
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass
class Live:
    """A run's report, made again when the journal has grown.

    Attributes:
      workdir: of the run.
      compare: work directories of other systems.
    """

    workdir: str
    compare: Sequence[str] = ()
    _made: tuple[Report, bool] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._store = Store.open(self.workdir)

    @property
    def length(self) -> int:
        """Of the journal, now."""
        return len(self._store.journal)

    def report(self) -> Report:
        """Of the journal as it is now."""
        return self._current()[0]

    @property
    def is_complete(self) -> bool:
        """Whether the run was complete when the report was made last."""
        return self._made is not None and self._made[1]

    def _current(self) -> tuple[Report, bool]:
        with self._lock:  # once for all who ask at the same time
            if self._made is None or self._made[0].length != self.length:
                read = source.read(self.workdir, self.compare)
                self._made = report.make(read), read.system.is_complete
            return self._made


def make_app(live: Live, is_ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application.

    Args:
      live: what is shown.
      is_ending: whether open streams of events are to end.
    """
    app = FastAPI(title="munet report", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)

    @app.get("/")
    def page() -> Response:
        return HTMLResponse(html.to_page(live.report(), live=True), headers=_HEADERS)

    @app.get("/report.json")
    def news() -> Response:
        made = live.report()
        content = {"length": made.length, "body": html.body_of(made), "figures": html.figures_of(made)}
        return Response(msgspec.json.encode(content), media_type="application/json", headers=_HEADERS)

    @app.get("/events")
    async def events() -> Response:
        return StreamingResponse(_events(live, is_ending), media_type="text/event-stream", headers=_HEADERS)

    return app


async def _events(live: Live, is_ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """An event at once, and whenever the journal has grown; in between lines that say nothing."""
    told: dict[str, Any] = {}
    quiet = 0.0
    while not is_ending():
        now = {"length": live.length, "complete": live.is_complete}
        if now != told:
            told, quiet = now, 0.0
            yield b"data: " + msgspec.json.encode(now) + b"\n\n"
        elif quiet >= _QUIET_SECONDS:
            quiet = 0.0
            yield b": nothing new\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS
