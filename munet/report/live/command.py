"""`munet report --serve`: the page of a running evolution on this machine alone, until it is ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from munet.errors import UserError
from munet.server import listening
from munet.server.command import check_packages
from munet.system import joint
from munet.text import say

_ENDING_SECONDS = 3  # that requests in flight have to be answered


def serve(workdir: str, compare: Sequence[str] = (), port: int = 0) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
      workdir: of the run, which goes on or is complete.
      compare: work directories of other systems.
      port: of 127.0.0.1; 0: a free one.

    Raises:
      UserError: there is no run, the port cannot be used, or a package is missing.
    """
    check_packages("munet report --serve")
    if not 0 <= port <= 65535:
        raise UserError(f"--port={port}: expected 0 to 65535; 0: a free one.")
    if joint.is_joint(workdir):
        raise UserError(f"{workdir} holds a joint training, which has no journal to be followed: leave --serve out.")
    from munet.report.live.app import Live, make_app
    from munet.report.page import html

    with contextlib.closing(listening.bound("127.0.0.1", port)) as bound:
        live = Live(workdir, compare)
        html.to_page(live.report(), live=True)  # what cannot be shown is said now, and what takes long is there
        server = listening.server(make_app(live, lambda: bool(server.should_exit)), _ENDING_SECONDS)
        place = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        say(f"munet: Shows {workdir} on {place} as it goes on (Ctrl-C ends it).", sys.stderr)
        server.run(sockets=[bound])
