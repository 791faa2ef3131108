"""Whether files are missing because the run has gone on since it was opened, and not because they are damaged."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from munet.errors import GoneOnError
from munet.store import Store
from munet.types import ComponentId, TaskName


def check_gone_on(store: Store, length: int, needed: Mapping[TaskName, AbstractSet[ComponentId]]) -> None:
    """Says so where files of some tasks' models are missing because the run has gone on and removed them.

    Args:
      store: of the run.
      length: of its journal when it was opened.
      needed: the components of each task's model, and their bases.

    Raises:
      GoneOnError: it has.
    """
    now = len(store.journal)
    if now <= length:  # a joint training has no journal, and never goes on beneath its end
        return
    there = store.components.ids()
    for task, ids in needed.items():
        if not ids <= there:
            raise GoneOnError(
                f"The run in {store.path} has gone on since it was opened here ({length:,} journal entries then, "
                f"{now:,} now), has another model of {task!r}, and has removed files of this one.",
                "Open it again.",
            )
