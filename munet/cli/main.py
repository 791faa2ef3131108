"""Entry point: parses arguments, runs one command, and turns whatever happens into an exit code.

0: done. 1: a failure of ours, with a traceback, or training that diverged, with a message. 2: the user's input,
with a message. 130, 143: interrupted; SIGTERM, or the notice SIGUSR1.
Nothing slow is imported here; each command imports what it needs.
"""

from __future__ import annotations

import io
import logging
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from munet import platforms, system_faults
from munet.cli.parser import make_parser
from munet.errors import DivergedError, UserError
from munet.stopping import INTERRUPTED, SIGNALS, TERMINATED, second_ends_at_once, swallowed_are_sent_again
from munet.text import is_text, printable, say

DONE, FAILURE, USER_INPUT, NO_READER = 0, 1, 2, 141


class Terminated(KeyboardInterrupt):
    """SIGTERM or a notice arrived; ends the run as Ctrl-C does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, without the program's name; that of the process if None, which then ends with it.

    Returns:
      The exit code.
    """
    if arguments is not None:
        return _run(list(arguments))
    code = _run(sys.argv[1:])
    _be_undisturbed()
    if code in (INTERRUPTED, TERMINATED):
        # XLA, interrupted in a compilation, may take the process down with signal 11 when Python tidies up.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    return code


def _run(given: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that a terminal cannot show ends no command
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_text(given)
        command = make_parser().parse(given)
        none_lost = swallowed_are_sent_again({Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT})
        with _sigterm_as_interrupt(), second_ends_at_once(), none_lost, _plain_warnings():
            return command() or DONE
    except SystemExit as stop:  # argparse: --help, --version or a usage error
        return stop.code if isinstance(stop.code, int) else USER_INPUT
    except UserError as error:
        _complain(str(error))
        return USER_INPUT
    except DivergedError as error:
        _complain(str(error))
        return FAILURE
    except KeyboardInterrupt as stop:
        from munet.kinds import KINDS

        commands = {"benchmark", "extend", *(kind.command.removeprefix("munet ") for kind in KINDS)}
        goes_on = given[0] in commands and "--dry_run" not in given
        again = "Resume with: " if goes_on else "Again: "
        _say(f"\nInterrupted. {again}{shlex.join(['munet', *given])}")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:  # e.g. `munet status | head`; Python would complain once more when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except Exception as error:  # the outermost edge: whatever is left is a failure of ours, shown whole
        if message := system_faults.explained(error) or platforms.problem():
            _complain(message)
            return USER_INPUT
        return _failure(given)


def _check_text(given: Sequence[str]) -> None:
    """Arguments end up in files of text: the journal, the log, pictures; but for the images of `munet predict`.

    Raises:
      UserError: one is not UTF-8.
    """
    takes_any_file = given[:1] == ["predict"]
    for argument in given:
        if not is_text(argument) and not (takes_any_file and not argument.startswith("--")):
            raise UserError(
                f"{printable(argument)} is not UTF-8, and munet writes names into files of text.",
                "Rename what it names, or give it by a symbolic link whose name is UTF-8.",
            )


def _failure(given: Sequence[str]) -> int:
    traceback.print_exc()
    _say(f"munet failed, and not by your input. The command was: {shlex.join(['munet', *given])}")
    return FAILURE


def _complain(message: str) -> None:
    """The message on stderr; its first word stands out on a terminal."""
    is_plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ
    print("munet:" if is_plain else "\x1b[1;31mmunet:\x1b[0m", end=" ", file=sys.stderr)
    _say(message)


def _say(text: str) -> None:
    say(text, sys.stderr)


def _be_undisturbed() -> None:
    """What was asked for is done or has failed: signals no longer change how the process ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGUSR1 end a command as cleanly as Ctrl-C does. Only a main thread may set handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: int | FrameType | None) -> None:
        raise Terminated

    before = {number: signal.signal(number, stop) for number in SIGNALS if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Words(logging.Handler):
    """Prints what munet's modules log as it speaks elsewhere, without names of modules."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(f"munet: {record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings of munet's modules are for people. Other packages' stay as they are."""
    logger, handler = logging.getLogger("munet"), _Words(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
