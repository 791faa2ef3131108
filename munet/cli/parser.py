"""The commands, their options and their help."""

from __future__ import annotations

import argparse
import functools
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from munet import __version__
from munet.errors import UserError, nearest

DEFAULT_CONFIG, DEFAULT_WORKDIR, DEFAULT_SUITE = "demo", "runs/demo", "builtin"
DEFAULT_RECIPE, DEFAULT_JOINT = "pretrain_demo", "joint:shared"
_CONFIGURED = ("evolve", "config", "benchmark", "pretrain", "train", "devices")  # take --config.NAME=VALUE

_HELP = """\
munet evolves one pretrained ViT into a single system that solves many image-classification tasks.

Commands:
  evolve     start a run, or go on with it
  status     what a run has reached
  predict    the classes of images, by one task's model or by all
  serve      the same over HTTP, with a page to drop images on
  graph      draw which layers the tasks share
  verify     check that every stored file is what was written
  export     a task's model as a folder that timm, augreg readers or any JAX program open
  compress   a smaller copy of a finished system: layers stored as low-rank updates
  data       show tasks: splits, classes, a contact sheet
  roots      list pretrained models to begin with, or fetch and inspect one
  config     list every setting, its value and its meaning
  benchmark  compare methods on the same tasks, over several seeds
  devices    what JAX sees, how much of it a run would use, and what stands idle
  pretrain   train a root from scratch, on one's own tasks or with a recipe that ships
  train      fine-tune a root on several tasks together, by gradient

Examples:
  munet evolve                                     the demo: four tasks, some minutes on two cores
  munet evolve --config=characters --workdir=runs/characters --config.data_dir=~/tfds --config.seed=1

`munet COMMAND --help` explains a command.
"""
_CONFIG_HELP = (
    "config file, or the name of one that ships with munet (demo, base, characters, decathlon), with a variant where "
    "it has some: characters:scale_0.3,no_autotune (default: %(default)s)"
)
_OVERRIDE_HELP = """\
Any setting can be changed: --config.seed=1, --config.tasks=builtin:digits,tfds:mnist,
--config.search_space.image_size=16,32. `munet config` lists them all.
"""
_RECIPE_HELP = (
    "recipe file, or the name of one that ships with munet (pretrain_demo, pretrain_cifar100), with a variant where it "
    "has some: pretrain_cifar100:subset (default: %(default)s)"
)
_RECIPE_EPILOG = """\
Any setting can be changed: --config.num_epochs=100, --config.tasks=tfds:mnist,builtin:digits.
`munet config --config=pretrain_demo` lists them all.
"""
_JOINT_HELP = (
    "config file, or the name of one that ships with munet (joint), with a variant: joint:shared, "
    "joint:shared_adapters, joint:separate (default: %(default)s)"
)
_JOINT_EPILOG = """\
Any setting can be changed: --config.num_rounds=500, --config.tasks=tfds:mnist,builtin:digits.
`munet config --config=joint` lists them all.
"""
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
            raise UserError(self._advice(name, unknown[0]))
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

    def _advice(self, name: str | None, unknown: str) -> str:
        usage = (self._commands[name] if name else self._parser).format_usage().strip()
        valid = re.findall(r"--\w+", usage)
        return f"there is no option {unknown!r}. {nearest(unknown.partition('=')[0], valid)}\n{usage}"


def make_parser() -> Parser:
    """A parser for the whole command line."""
    return Parser()


def _run(name: str, values: dict[str, Any]) -> int | None:
    command: Callable[..., int | None] = getattr(importlib.import_module("munet.cli.commands"), name)
    return command(**values)


class _Arguments(argparse.ArgumentParser):
    """argparse whose complaints are like all others of munet."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}\n{self.format_usage().strip()}")


def _command(commands: Any, name: str, what: str, epilog: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        description=what,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _evolve(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "evolve",
        "Starts a run, or goes on where it was interrupted: the same command does both. Ctrl-C ends it cleanly.",
        _OVERRIDE_HELP,
    )
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE[:VARIANT]", help=_CONFIG_HELP)
    parser.add_argument(
        "--workdir", metavar="DIR", default="", help="where the run is kept (default: runs/CONFIG[-VARIANT])"
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="print phases, steps, memory and estimated time; write nothing"
    )
    return parser


def _pretrain(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "pretrain",
        "Trains a root from scratch, or goes on where training was interrupted: the same command does both. The\n"
        "root (augreg .npz), its card and its validation curve are put into the work directory.",
        _RECIPE_EPILOG,
    )
    return _with_training(parser, DEFAULT_RECIPE, _RECIPE_HELP, "images, steps")


def _train(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "train",
        "Fine-tunes one root on several tasks together, or goes on where that was interrupted: the same command does\n"
        "both. docs/howto/joint.md says what there is.",
        _JOINT_EPILOG,
    )
    return _with_training(parser, DEFAULT_JOINT, _JOINT_HELP, "rounds, images")


def _with_training(parser: argparse.ArgumentParser, default: str, what: str, counts: str) -> argparse.ArgumentParser:
    """What starts or continues a joint training takes: config, place, dry run."""
    parser.add_argument("--config", default=default, metavar="FILE[:VARIANT]", help=what)
    parser.add_argument(
        "--workdir", metavar="DIR", default="", help="where it is kept (default: runs/CONFIG[-VARIANT])"
    )
    parser.add_argument(
        "--dry_run", action="store_true", help=f"print {counts}, memory and estimated time; write nothing"
    )
    return parser


def _workdir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workdir", metavar="DIR", default=DEFAULT_WORKDIR, help="where the run is kept (default: %(default)s)"
    )


def _status(commands: Any) -> argparse.ArgumentParser:
    parser = _command(commands, "status", "Prints what a run has reached; also while it goes on.")
    _workdir(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object, whose form is stable")
    parser.add_argument("--wide", action="store_true", help="every column and every task, however wide that is")
    parser.add_argument(
        "--compare", action="store_true", help="the table of --config.compare: beside the baselines in DIR/baselines"
    )
    parser.add_argument(
        "--task", default="", metavar="NAME", help="one task class by class: worst classes first, and what is confused"
    )
    parser.add_argument(
        "--confusion", default="", metavar="FILE.svg", help="with --task: also draw its confusion matrix (test split)"
    )
    return parser


def _verify(commands: Any) -> argparse.ArgumentParser:
    parser = _command(commands, "verify", "Checks every component against its hash, and the journal's chain.")
    _workdir(parser)
    parser.add_argument(
        "--tests", action="store_true", help="also measure every test accuracy again: it must be exactly as recorded"
    )
    parser.add_argument(
        "--repair", action="store_true",
        help="first drop a damaged newest journal entry, where the ones before it suffice; the run makes it again",
    )  # fmt: skip
    parser.add_argument(
        "--data_dir", default="", metavar="DIR",
        help="with --tests: prepared TFDS data (default: $TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )  # fmt: skip
    return parser


def _compress(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "compress",
        "Writes a smaller copy of a finished run's system: layers are stored as low-rank updates of what they were\n"
        "cloned from, in the lowest ranks whose validation quality holds. The run itself stays as it is.",
    )
    _workdir(parser)
    parser.add_argument("--to", default="", metavar="NEW", help="a new or empty directory for the smaller system")
    parser.add_argument(
        "--tolerance", type=float, default=None, metavar="POINTS",
        help="validation quality that a task may lose, in points (default: its standard error)",
    )  # fmt: skip
    parser.add_argument("--tasks", default="", metavar="A,B", help="compress only these tasks' models (default: all)")
    parser.add_argument(
        "--data_dir", default="", metavar="DIR",
        help="prepared TFDS data (default: $TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )  # fmt: skip
    return parser


def _predict(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "predict",
        "Prints the most probable classes of images, a line an image, as they are ready. Files are read as training\n"
        "reads them. Exit code 2 if one cannot be read; all others are answered first.",
        "Example: find scans -name '*.jpg' | munet predict --task=digits --csv --output=answers.csv -",
    )
    _workdir(parser)
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE_OR_FOLDER", help="files, folders (with all below), - for paths from stdin"
    )
    parser.add_argument("--task", default="", metavar="NAME", help="whose model is asked (default: the only one)")
    parser.add_argument("--all_tasks", action="store_true", help="ask the model of every task")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, whose form is stable")
    parser.add_argument("--csv", action="store_true", help="comma-separated, with a head")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes of each image (default: %(default)s)")
    parser.add_argument(
        "--min_confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="name no class less probable than this (default: 0)",
    )
    parser.add_argument("--output", "--out", default="", metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--cache_dir", default="", metavar="DIR",
        help="of compiled programs (default: $MUNET_CACHE_DIR, else ~/.cache/munet; off: none)",
    )  # fmt: skip
    return parser


def _serve(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "serve",
        "Answers over HTTP with the models of a run: POST /v1/tasks/TASK/predict and /v1/predict; a page at /, and\n"
        "/openapi.json, /healthz, /readyz, /metrics. SIGTERM or Ctrl-C: what is in flight is answered first.",
        "Needs the extra `serve`. Example: curl -F images=@7.png http://127.0.0.1:8000/v1/tasks/digits/predict",
    )
    _workdir(parser)
    parser.add_argument("--tasks", default="", metavar="A,B", help="serve only these tasks (default: all)")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="default: %(default)s, which only this machine reaches; 0.0.0.0: all others, too",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default: %(default)s; 0: any free one")
    parser.add_argument(
        "--token_file", default="", metavar="FILE", help="tokens that clients must name (Bearer), one a line"
    )
    parser.add_argument(
        "--follow", nargs="?", type=float, const=5.0, default=0.0, metavar="SECONDS",
        help="take up newly retained models; look for them so often (default: never; without a number: 5)",
    )  # fmt: skip
    for name, kind, default, meaning in (
        ("max_batch", int, 64, "images that are computed at once, at most 256"),
        ("max_wait_ms", float, 5.0, "that an image waits for others, at most"),
        ("max_body_mb", float, 32.0, "MiB of a request's body"),
        ("max_images", int, 64, "images of a request"),
        ("max_megapixels", float, 50.0, "of an image"),
        ("max_queue", int, 1024, "images that may wait"),
        ("body_seconds", float, 30.0, "within which a body has to arrive"),
    ):
        parser.add_argument(
            f"--{name}", type=kind, default=default, metavar="N", help=f"{meaning} (default: {default:g})"
        )
    parser.add_argument(
        "--cache_dir", default="", metavar="DIR",
        help="of compiled programs (default: $MUNET_CACHE_DIR, else ~/.cache/munet; off: none)",
    )  # fmt: skip
    return parser


def _graph(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "graph",
        "Draws the layers that the tasks' models are made of, and which they share; as a page, how they came about.",
    )
    _workdir(parser)
    parser.add_argument(
        "--format", default="", metavar="html|svg|png|dot|json|model_explorer",
        help="default: by the ending of --output (.model_explorer.json, too), else svg",
    )  # fmt: skip
    parser.add_argument("--output", "--out", default="", metavar="FILE", help="default: standard output")
    return parser


def _export(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "export",
        "Writes a task's model as a folder for other programs, with a model card; or compares such a folder with the\n"
        "system. Nothing is written into the work directory.",
        "Formats: safetensors (a folder that timm opens), npz (augreg, for models without residual adapters) and\n"
        " stablehlo (pixels to probabilities in one program, for JAX alone). docs/howto/export.md has ONNX.",
    )
    _workdir(parser)
    parser.add_argument("--task", default="", metavar="NAME", help="whose model")
    parser.add_argument("--all_tasks", action="store_true", help="every task's model, a folder each inside --output")
    parser.add_argument(
        "--format", default="safetensors", metavar="safetensors|npz|stablehlo", help="default: %(default)s"
    )
    parser.add_argument("--output", "--out", default="", metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--check", default="", metavar="DIR",
        help="compare the logits of an exported folder, or of every one in DIR, with the system's on 32 images",
    )  # fmt: skip
    return parser


def _data(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "data",
        "Prints splits, counts, classes and shapes of tasks, and writes a contact sheet (PNG) of each.",
        "A task is tfds:NAME, folder:/PATH, hf:NAME, npz:/FILE.npz, builtin:digits or builtin:glyphs/SCRIPT.",
    )
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="task URIs, e.g. builtin:digits tfds:cmaterdb/bangla")
    parser.add_argument(
        "--data_dir", default="", metavar="DIR",
        help="prepared TFDS data (default: $TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )  # fmt: skip
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
    parser = _command(
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


def _config(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands, "config", "Lists every setting with its value and its meaning, as `munet evolve` would use it.",
        _OVERRIDE_HELP,
    )  # fmt: skip
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE[:VARIANT]", help=_CONFIG_HELP)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def _devices(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands, "devices", "Says which devices JAX sees, how many of them each stage of a run with these settings\n"
        "keeps at work, and what would use the others. Reads no data.",
        _OVERRIDE_HELP,
    )  # fmt: skip
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE[:VARIANT]", help=_CONFIG_HELP)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def _benchmark(commands: Any) -> argparse.ArgumentParser:
    parser = _command(
        commands,
        "benchmark",
        "Runs every method of a suite on the same tasks with several seeds, or goes on with it, and writes "
        "results.parquet, tables and figures. Finished runs are never repeated; a failed one does not stop the others.",
        _OVERRIDE_HELP + "Such settings go to every method. docs/howto/benchmark.md says how to write a suite.\n",
    )
    parser.add_argument(
        "--suite", default=DEFAULT_SUITE, metavar="FILE[:VARIANT]",
        help="suite file, or the name of one that ships with munet (builtin, characters:paper, characters:real), with "
        "a variant where it has some (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workdir", metavar="DIR", default="", help="where everything is kept (default: runs/suite-SUITE[-VARIANT])"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="seeds of each method (default: 5)")
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N",
        help="runs side by side, on disjoint GPUs where there are any; 0: one for each GPU, else one (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--methods", default="", metavar="A,B", help="run only these methods of the suite (default: all)"
    )
    parser.add_argument(
        "--reference", default="", metavar="paper",
        help="also show the paper's numbers beside ours, and what differs (suites of the paper's benchmarks)",
    )  # fmt: skip
    parser.add_argument("--dry_run", action="store_true", help="print runs, steps and estimated time; write nothing")
    return parser


_COMMANDS: dict[str, Callable[[Any], argparse.ArgumentParser]] = {
    "evolve": _evolve,
    "status": _status,
    "predict": _predict,
    "serve": _serve,
    "graph": _graph,
    "verify": _verify,
    "export": _export,
    "compress": _compress,
    "data": _data,
    "roots": _roots,
    "config": _config,
    "benchmark": _benchmark,
    "devices": _devices,
    "pretrain": _pretrain,
    "train": _train,
}
