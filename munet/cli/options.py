"""Options that several commands have."""

from __future__ import annotations

import argparse
from typing import Any

DEFAULT_WORKDIR = "runs/demo"


def command(commands: Any, name: str, what: str, epilog: str = "") -> argparse.ArgumentParser:
    """A command without options yet.

    Args:
      commands: argparse's, to which it is added.
      name: of the command.
      what: it does.
      epilog: printed below its options.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        description=what,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_workdir(parser: argparse.ArgumentParser) -> None:
    """Where the run is."""
    parser.add_argument(
        "--workdir", metavar="DIR", default=DEFAULT_WORKDIR, help="where the run is kept (default: %(default)s)"
    )


def add_cache_dir(parser: argparse.ArgumentParser) -> None:
    """Where compiled programs are kept."""
    parser.add_argument(
        "--cache_dir", default="", metavar="DIR",
        help="of compiled programs (default: $MUNET_CACHE_DIR, else ~/.cache/munet; off: none)",
    )  # fmt: skip


def add_data_dir(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Where prepared sets lie; `when` says what needs them."""
    parser.add_argument(
        "--data_dir", default="", metavar="DIR",
        help=f"{when}prepared TFDS data (default: $TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )  # fmt: skip
