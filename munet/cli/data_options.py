"""Commands about what a run begins with: data, roots."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from munet.cli import options


def _data(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "data",
        "Prints splits, counts, classes and shapes of tasks, and writes a contact sheet (PNG) of each.",
        "A task is tfds:NAME, folder:/PATH, hf:NAME, npz:/FILE.npz, builtin:digits or builtin:glyphs/SCRIPT.\n"
        "Told in words: texts, text:/PATH or text:/PATH?unit=words, and tasks of values, dna:/FILE.npz, builtin:dna,\n"
        "muir:/FILE.npz?task=NUMBER.",
    )
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="task URIs, e.g. builtin:digits tfds:cmaterdb/bangla")
    options.add_data_dir(parser)
    parser.add_argument(
        "--sheet_dir", default=None, metavar="DIR",
        help="where the contact sheets go (default: here, or none with the options below); '' for none",
    )  # fmt: skip
    parser.add_argument(
        "--to_folder", default="", metavar="DIR",
        help="write the images as DIR/{train,validation,test}/CLASS/NUMBER.png, which folder:DIR reads; several tasks "
        "go into a folder each",
    )  # fmt: skip
    parser.add_argument(
        "--check_leaks", action="store_true", help="count the images that are in more than one split, by their pixels"
    )
    parser.add_argument(
        "--max_bad_images", type=float, default=0.01, metavar="SHARE",
        help="of a folder's files that may be unreadable; they are named and left out (default: %(default)s)",
    )  # fmt: skip
    return parser


def _roots(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "roots",
        "Lists the pretrained models known by name and those in the cache; with NAME: downloads it if need be, checks "
        "it, and says what it is.",
        "A root is demo, a path (.npz, .safetensors, or the folder of a model), augreg:NAME, https://..., gs://... or\n"
        "munet:WORKDIR?task=TASK.",
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="what `--config.root` may be")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument(
        "--cache_dir", default="", metavar="DIR", help="of downloads (default: $MUNET_CACHE_DIR, else ~/.cache/munet)"
    )
    return parser


COMMANDS: Mapping[str, Callable[[Any], argparse.ArgumentParser]] = {
    "data": _data,
    "roots": _roots,
}
