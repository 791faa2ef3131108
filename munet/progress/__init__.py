"""What a run says while it goes on (`events`), and who listens: a terminal, plain lines, a JSONL file.

The run only calls `notify(event)`; importing this package costs nothing but the event classes.
"""

from __future__ import annotations

from munet.progress.events import (
    Advanced,
    Compiling,
    CycleEnded,
    Decided,
    Event,
    GenerationEnded,
    GenerationStarted,
    Measured,
    Note,
    Notify,
    PhaseEnded,
    PhaseStarted,
    RunEnded,
    RunFailed,
    RunStarted,
    TrainingEnded,
    TrainingStarted,
)

__all__ = [
    "Advanced",
    "Compiling",
    "CycleEnded",
    "Decided",
    "Event",
    "GenerationEnded",
    "GenerationStarted",
    "Measured",
    "Note",
    "Notify",
    "PhaseEnded",
    "PhaseStarted",
    "RunEnded",
    "RunFailed",
    "RunStarted",
    "TrainingEnded",
    "TrainingStarted",
]
