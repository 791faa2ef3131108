"""What can go wrong, by whose hand: one exception type for each kind of answer the user gets.

`UserError` and its children are the user's input (exit code 2); everything else is a failure of ours (exit code 1).
Messages say what was given, what was expected, and the nearest valid choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

_MAX_LISTED, _MAX_CLOSE = 12, 3  # choices that a message names


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, for a list of such.

    Attributes:
      place: where: a file, or the task when no single file is to blame.
      text: what is wrong.
      advice: what to do.
    """

    place: str
    text: str
    advice: str


class UserError(ValueError):
    """Something the user gave cannot be used; the message says what, where, and what to give instead.

    Attributes:
      text: what and where; all of the message where the advice does not stand apart.
      advice: what to do, where it stands apart: the end of the message; else "".
    """

    def __init__(self, text: str, advice: str = ""):
        self.text, self.advice = text, advice
        super().__init__(f"{text} {advice}" if advice else text)


class ConfigError(UserError):
    """One or more fields of the configuration are wrong. All problems are in the one message."""

    subject = "configuration"

    def __init__(self, problems: Iterable[str]):
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"The {self.subject} has {'a problem' if count == 1 else f'{count} problems'}:"
        shown = (problem.replace("\n", "\n    ") for problem in self.problems)  # one may have lines of its own
        super().__init__("\n  - ".join([head, *shown]))


class SuiteError(ConfigError):
    """A suite of runs cannot be started. All problems are in the one message."""

    subject = "suite"


class DataError(UserError):
    """A data set is missing, unreadable, or cannot be a classification task."""


class CheckpointError(UserError):
    """A root checkpoint is truncated, foreign, or does not fit the architecture."""


class WorkdirError(UserError):
    """The work directory belongs to another experiment, a newer format, or a living process."""


class GoneOnError(WorkdirError):
    """The run has gone on since it was opened here, and has removed what is no longer part of it: open it again."""


class CorruptionError(UserError):
    """A stored file is not what was written; the message names the file and what to do."""


class DiskFullError(UserError):
    """The disk is full; nothing that was committed is lost, and the same command goes on."""


class DeviceMemoryError(UserError):
    """A device has no room for what was planned; nothing that was committed is lost."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers: no fault of the program's, but nothing came of it (exit code 1)."""


class HygieneError(RuntimeError):
    """Code looked at test images where nothing may depend on them: a fault of the program, never of its user."""


def nearest(given: str, choices: Iterable[str], listed: str = "Valid") -> str:
    """A sentence naming the valid choices nearest to `given`, for the end of an error message.

    Args:
      given: what is not valid.
      choices: what would be.
      listed: what a list of them begins with.

    Returns:
      "Did you mean 'x'?" when something is close, else "Valid: a, b, c.", of very many the first.
    """
    options = sorted(set(choices))
    if not options:
        return "There is nothing to choose from."
    shown, rest = options[:_MAX_LISTED], len(options) - _MAX_LISTED
    return did_you_mean(given, options) or f"{listed}: {', '.join(shown)}{f' and {rest:,} more' if rest > 0 else ''}."


def did_you_mean(given: str, choices: Iterable[str]) -> str:
    """The question whether one of the choices close to `given` was meant, the closest first; "" when none is close."""
    close = difflib.get_close_matches(given, sorted(set(choices)), n=_MAX_CLOSE, cutoff=0.6)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
