"""Reading components of a run that may go on meanwhile, and remove what is no longer a task's model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from munet.errors import GoneOnError
from munet.system.view import RunView

_TIMES_AGAIN = 5  # that a run is opened anew where it goes on beneath whoever reads it
View = TypeVar("View", bound=RunView)
Result = TypeVar("Result")


def reading(workdir: str, opened: Callable[[str], View], work: Callable[[View], Result]) -> Result:
    """What some work makes of a run as it is now; where the run goes on beneath it, of the run as it is then.

    Args:
      workdir: of the run.
      opened: opens it.
      work: reads components; it is done again with a newer view where they were removed meanwhile.

    Raises:
      GoneOnError: the run has gone on again and again.
    """
    for _ in range(_TIMES_AGAIN):
        with suppress(GoneOnError):
            return work(opened(workdir))
    return work(opened(workdir))
