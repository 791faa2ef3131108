"""A tiny run that ends in the middle, as a signal would end it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from munet.progress import events
from munet.run import runs
from tests import tiny_run


class Stop(Exception):
    """Ends a run from its listener, as a signal would."""


def until(kind: type, count: int = 1) -> Callable[[events.Event], None]:
    """A listener that ends the run at the `count`-th event of a kind."""
    seen = 0

    def listen(event: events.Event) -> None:
        nonlocal seen
        seen += isinstance(event, kind)
        if seen == count:
            raise Stop

    return listen


def partial(data: Path, workdir: Path, **changes: Any) -> None:
    settings = tiny_run.config(data)
    for name, value in changes.items():
        setattr(settings.runtime, name, value)
    with pytest.raises(Stop):
        runs.evolve(settings, str(workdir), until(events.GenerationEnded))
