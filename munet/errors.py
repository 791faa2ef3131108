"""What can go wrong, by whose hand: one exception type for each kind of answer the user gets.

`UserError` and its children are the user's input (exit code 2); everything else is a failure of ours (exit code 1).
Messages say what was given, what was expected, and the nearest valid choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave cannot be used; the message says what, where, and what to give instead."""


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


def nearest(given: str, choices: Iterable[str], count: int = 3) -> str:
    """A clause naming the valid choices nearest to `given`, for the end of an error message.

    Returns `"Did you mean 'x'?"` when something is close, else `"Valid: a, b, c."`.
    """
    options = sorted(set(choices))
    close = difflib.get_close_matches(given, options, n=count, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(choice) for choice in close) + "?"
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"Valid: {shown}." if options else "There is nothing to choose from."
