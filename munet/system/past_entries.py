"""What is looked up in the journal's entries again, because the folded journal no longer says it.

How a phase ended, class by class and image by image, and which task published what models that are gone left behind.
"""

from __future__ import annotations

from munet.errors import CorruptionError
from munet.store.journal import Journal
from munet.types import ComponentId, CompressionEntry, GenerationEntry, PhaseEntry, TaskName


def measured(journal: Journal, place: int, task: TaskName, workdir: str) -> PhaseEntry:
    """What was measured of a task's retained model: when its phase was closed, or when it was compressed since.

    Args:
      journal: of the run.
      place: where the entry that says it is.
      task: whose model it is.
      workdir: of the run, for words.

    Raises:
      CorruptionError: that entry says nothing of the kind.
    """
    entry = next(journal.entries(start=place), None)
    if isinstance(entry, CompressionEntry):
        entry = next((one.measured for one in entry.models if one.measured.task == task), None)
    if not isinstance(entry, PhaseEntry) or entry.task != task:
        raise CorruptionError(f"Entry {place} of the journal of {workdir} does not close a phase of {task!r}.")
    return entry


def publishers(journal: Journal) -> dict[ComponentId, TaskName]:
    """The task that published each component, also those that are gone; from the whole journal."""
    tasks: dict[ComponentId, TaskName] = {}
    for entry in journal.entries():
        if isinstance(entry, GenerationEntry):
            tasks |= dict.fromkeys(entry.published, entry.task)
        if isinstance(entry, CompressionEntry):  # trained was what is stored otherwise now
            tasks |= {id: tasks[record.parent or ""] for id, record in entry.published.items()}
    return tasks
