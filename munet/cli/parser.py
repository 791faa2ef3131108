"""Turns the command line into a command that is ready to run; the options of each stand in `*_options.py`."""

from __future__ import annotations

import argparse
import functools
import importlib
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from munet import __version__
from munet.cli import data_options, run_options, system_options
from munet.errors import UserError, did_you_mean, nearest

_CONFIGURED = ("evolve", "extend", "config", "benchmark", "pretrain", "train", "devices")  # take --config.NAME=VALUE

_HELP = """\
munet evolves one pretrained ViT into a single system that solves many image-classification tasks.

Commands:
  evolve     start a run, or go on with it
  extend     add tasks to a run, or give its tasks further phases
  status     what a run has reached
  table      every child that a run has trained, as a table, CSV or histogram
  predict    the classes of images, by one task's model or by all
  serve      the same over HTTP, with a page to drop images on
  graph      draw which layers the tasks share
  report     one page with all that a run's journal says
  animate    how a system came about, as a GIF or MP4
  tensorboard
             event files of runs for TensorBoard
  verify     check that every stored file is what was written
  export     a task's model as a folder that timm, augreg readers or any JAX program open
  compress   a smaller copy of a finished system: layers stored as low-rank updates
  forget     take a task out of a finished system
  data       show tasks: splits, classes, a contact sheet
  roots      list pretrained models to begin with, or fetch and inspect one
  config     list every setting, its value and its meaning
  benchmark  compare methods on the same tasks, over several seeds
  devices    what JAX sees, how much of it a run would use, and what stands idle
  pretrain   train a root from scratch, on one's own tasks or with a recipe that ships
  train      several tasks together, by gradient: joint fine-tuning, learnt routing, shared blocks of weights

Examples:
  munet evolve                                     the demo: four tasks, some minutes on two cores
  munet evolve --config=characters --workdir=runs/characters --config.data_dir=~/tfds --config.seed=1

`munet COMMAND --help` explains a command.
"""
_HOUSES = {"run": run_options.COMMANDS, "system": system_options.COMMANDS, "data": data_options.COMMANDS}
_COMMANDS: Mapping[str, Callable[[Any], argparse.ArgumentParser]] = {
    name: add for commands in _HOUSES.values() for name, add in commands.items()
}
Command = Callable[[], int | None]  # gives the exit code; None: 0


class Parser:
    """Turns arguments into a command that is ready to run."""

    def __init__(self) -> None:
        self._parser = _Arguments(prog="munet", add_help=False, allow_abbrev=False)
        self._parser.add_argument("-h", "--help", action="store_true")
        self._parser.add_argument("--version", action="version", version=f"munet {__version__}")
        commands = self._parser.add_subparsers(dest="command", parser_class=_Arguments)
        self._commands = {name: add(commands) for name, add in _COMMANDS.items()}

    def parse(self, arguments: Sequence[str]) -> Command:
        """The command that the arguments ask for.

        Raises:
          UserError: arguments that cannot be used.
          SystemExit: help or the version was asked for, and is printed.
        """
        name = next((argument for argument in arguments if not argument.startswith("-")), None)
        if not arguments or (name is None and not {"--version", "-h", "--help"}.intersection(arguments)):
            sys.stderr.write(_HELP)
            raise UserError("say which command.")
        if name is not None and name not in self._commands:
            raise UserError(f"there is no command {name!r}. {nearest(name, self._commands)}")
        overrides: list[Any] = []
        rest = list(arguments)
        if name in _CONFIGURED:
            from munet.config.flags import split_overrides  # takes 0.1 s to import

            rest, overrides = split_overrides(arguments)
        options, unknown = self._parser.parse_known_args(rest)
        if unknown:
            raise UserError(self._advice(name, unknown))
        if options.help or name is None:
            sys.stdout.write(_HELP)
            raise SystemExit(0)
        values = {key: value for key, value in vars(options).items() if key not in ("command", "help")}
        if name in _CONFIGURED:
            values["overrides"] = overrides
        return functools.partial(_run, name, values)

    def help_texts(self) -> dict[str, str]:
        """What `munet COMMAND --help` prints, by command; for the documentation."""
        return {name: parser.format_help() for name, parser in self._commands.items()}

    def _advice(self, name: str | None, unknown: Sequence[str]) -> str:
        usage = (self._commands[name] if name else self._parser).format_usage().strip()
        valid = re.findall(r"--\w+", usage)
        options = [argument for argument in unknown if argument.startswith("-")]
        if not options:
            return f"{name} takes no {unknown[0]!r}. {_meant_by_word(unknown[0], valid)}\n{usage}"
        # The words beside unknown options are taken for their values.
        return "\n".join([*(_meant_by_option(name, option, valid) for option in options), usage])


def _meant_by_option(name: str | None, unknown: str, valid: Sequence[str]) -> str:
    """What somebody meant by an option that there is not."""
    option, _, value = unknown.partition("=")
    hint = did_you_mean(option, valid) or (name in _CONFIGURED and _meant_as_setting(option, value))
    return f"there is no option {unknown!r}. {hint or nearest(option, valid)}"


def _meant_by_word(word: str, valid: Sequence[str]) -> str:
    """What somebody meant by a word that belongs to no option: a work directory, or the end of a value with a blank."""
    if "--workdir" in valid and Path(word).is_dir():
        return f"Did you mean --workdir={shlex.quote(word)}?"
    return "Options begin with --; a value with a blank in it needs quotes, e.g. --config.tasks='folder:my photos'."


def _meant_as_setting(option: str, value: str) -> str:
    """The setting that is called as an option was, as it is written; "" if there is none of `munet evolve`."""
    from munet.config.fields import short_names

    found = option.removeprefix("--") in short_names()
    return f"Settings begin with --config: did you mean --config.{option.removeprefix('--')}={value}?" if found else ""


def make_parser() -> Parser:
    """A parser for the whole command line."""
    return Parser()


def _run(name: str, values: dict[str, Any]) -> int | None:
    house = next(house for house, commands in _HOUSES.items() if name in commands)
    command: Callable[..., int | None] = getattr(importlib.import_module(f"munet.cli.{house}_commands"), name)
    return command(**values)


_LACKS_VALUE = re.compile(r"argument (--\w+)[^:]*: expected (?:one argument|at least one argument)")  # argparse's words
_MISTYPED = re.compile(r"argument (--\w+): invalid (int|float) value: (.*)", re.DOTALL)  # argparse's words
_NUMBERS = {"int": "a whole number", "float": "a number"}


class _Arguments(argparse.ArgumentParser):
    """argparse whose complaints are like all others of munet."""

    def error(self, message: str) -> NoReturn:
        if mistyped := _MISTYPED.fullmatch(message):
            option, kind, given = mistyped.groups()
            message = f"{option} takes {_NUMBERS[kind]}; got {given}."
        elif lacking := _LACKS_VALUE.match(message):
            message = self._value_missing(lacking[1])
        raise UserError(f"{message}\n{self.format_usage().strip()}")

    def _value_missing(self, option: str) -> str:
        """What an option takes that was given without a value, in the words of its help."""
        action = next(action for action in self._actions if option in action.option_strings)
        choices = "|".join(map(str, action.choices or ()))
        value = choices or action.metavar or action.dest.upper()
        meaning = (action.help or "") % {**vars(action), "prog": self.prog}
        return f"{option} needs a value, {option}={value}: {meaning}"
