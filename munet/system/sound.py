"""Whether the numbers of a journal entry can be any run's: no chain of hashes tells that of a stranger's journal.

What is checked here is what folding, judging and drawing rely on; they then need not ask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from munet.errors import CorruptionError, UserError
from munet.quality import Quality
from munet.types import CompressionEntry, GenerationEntry, JournalEntry, PhaseEntry, SeedsEntry

_MOST = 1 << 53  # what a count may be: more is no number of images, steps or seconds
_ADVICE = "Restore it from a copy, or start again in a new work directory."
# What folding, judging and drawing raise on names and numbers that no entry before has made possible.
_STUMBLES = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError)


def check(entry: JournalEntry, num_classes: int) -> None:
    """Checks an entry.

    Args:
      entry: any but the first.
      num_classes: of its task.

    Raises:
      CorruptionError: it holds numbers that no run writes; the message says which.
    """
    match entry:
        case GenerationEntry():
            for child in entry.children:
                for quality in child.training.qualities:
                    _check_quality(quality)
                _check_number("cost of a child", child.cost.image_steps)
                _check_number("cost of a child", child.cost.seconds)
                _check_number("latency of a child", child.latency or 0)
        case PhaseEntry():
            check_phase(entry, num_classes)
        case SeedsEntry():
            _check_number("cost of the choice of seed parents", entry.image_steps)
        case CompressionEntry():
            for model in entry.models:
                _check_quality(model.quality)
                _check_quality(model.uncompressed)
                _check_quality(model.measured.test_quality)
        case _:
            pass


def check_phase(entry: PhaseEntry, num_classes: int) -> None:
    """Checks the end of a phase; raises `CorruptionError` as `check` does."""
    _check_quality(entry.test_quality)
    for split, correct, counted, confusions in (
        ("test", entry.test_correct_per_class, entry.test_counted_per_class, entry.test_confusions),
        (
            "validation",
            entry.validation_correct_per_class,
            entry.validation_counted_per_class,
            entry.validation_confusions,
        ),
    ):
        if not correct and not counted and not confusions:
            continue  # written before these were recorded
        pairs = zip(correct, counted, strict=False)
        if (
            len(correct) != num_classes
            or len(counted) != num_classes
            or not all(0 <= a <= b <= _MOST for a, b in pairs)
        ):
            raise CorruptionError(f"Its {split} counts are not those of {num_classes} classes.", _ADVICE)
        if not all(_is_confusion(triple, num_classes) for triple in confusions):
            raise CorruptionError(f"Its {split} confusions are not those of {num_classes} classes.", _ADVICE)


@contextmanager
def stumbles_named(where: str) -> Iterator[None]:
    """Turns what folding an entry stumbles over into a `CorruptionError`, and says where in any case."""
    try:
        yield
    except UserError as error:
        if not isinstance(error, CorruptionError) or where in str(error):
            raise
        raise CorruptionError(f"{where}: {error.text}", error.advice or _ADVICE) from error
    except _STUMBLES as error:
        what = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        what = f"it names {str(error)[:200]}, which is not there" if isinstance(error, LookupError) else what
        raise CorruptionError(f"{where} does not follow from the entries before it: {what}.", _ADVICE) from error


def _is_confusion(triple: Sequence[int], num_classes: int) -> bool:
    return len(triple) == 3 and all(0 <= label < num_classes for label in triple[:2]) and 0 < triple[2] <= _MOST


def _check_quality(quality: Quality) -> None:
    is_sound = 0 <= quality.correct <= quality.counted <= _MOST and quality.counted > 0
    for one in quality.strata:
        is_sound = is_sound and one.size > 0 and one.classes > 0 and 0 <= one.correct <= one.size * one.classes <= _MOST
    if not is_sound:
        raise CorruptionError(f"{quality.correct} right of {quality.counted} images are no quality.", _ADVICE)


def _check_number(what: str, number: float) -> None:
    if not (math.isfinite(number) and 0 <= number <= _MOST):
        raise CorruptionError(f"{number} is no {what}.", _ADVICE)
