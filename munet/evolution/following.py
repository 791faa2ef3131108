"""Which journal entry may follow on a state; where another one does, the journal is damaged or another run's."""

from __future__ import annotations

from munet.errors import CorruptionError
from munet.evolution.open_phase import OpenPhase
from munet.types import (
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    PhaseEntry,
    SeedsEntry,
)

Following = SeedsEntry | GenerationEntry | PhaseEntry | CompressionEntry | ExtendEntry | ForgetEntry

_ADVICE = "Restore the work directory or start in a new one."


def check_follows(phase: OpenPhase, entry: Following) -> None:
    """Checks that an entry follows on the state of a phase.

    Raises:
      CorruptionError: it does not.
    """
    position = phase.state.position
    if isinstance(entry, CompressionEntry | ForgetEntry):
        if not phase.is_of_complete_run or entry.position != position:
            what = "models compressed" if isinstance(entry, CompressionEntry) else "a task forgotten"
            raise CorruptionError(
                f"The journal has {what} at {entry.position}, where the run is at {position}.", _ADVICE
            )
    elif isinstance(entry, ExtendEntry):
        if entry.position != position:
            raise CorruptionError(f"The journal has a run extended at {entry.position} that is at {position}.", _ADVICE)
    else:
        _check_follows_in_phase(phase, entry)


def _check_follows_in_phase(phase: OpenPhase, entry: SeedsEntry | GenerationEntry | PhaseEntry) -> None:
    state = phase.state
    fits = isinstance(entry, _expected(phase))
    if not fits or entry.position != state.position or entry.task != phase.task.name:
        raise CorruptionError(
            f"A journal entry for task {entry.task!r} at {entry.position} cannot follow on {state.position}: the "
            "journal is from another run or has lost entries.",
            _ADVICE,
        )
    if isinstance(entry, SeedsEntry) and entry.fits.keys() != set(state.seeds):
        raise CorruptionError(
            f"The journal has the fit of the models {sorted(entry.fits)} at {entry.position}, but the "
            f"candidates are {sorted(state.seeds)}.",
            _ADVICE,
        )


def _expected(phase: OpenPhase) -> type[SeedsEntry | GenerationEntry | PhaseEntry] | tuple[()]:
    """The kind of the next journal entry; none if the run is complete."""
    if phase.is_of_complete_run:
        return ()
    if phase.is_over:
        return PhaseEntry
    return SeedsEntry if phase.has_seeds_to_choose else GenerationEntry
