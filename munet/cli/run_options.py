"""Commands that train, or say what training would be: evolve, extend, pretrain, train, config, devices, benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from munet.cli import options

DEFAULT_CONFIG, DEFAULT_SUITE = "demo", "builtin"
DEFAULT_RECIPE, DEFAULT_JOINT = "pretrain_demo", "joint:shared"
_CONFIG_HELP = (
    "config file, or the name of one that ships with munet (demo, base, characters, decathlon, clusters), with a "
    "variant where it has some: base:quick, characters:scale_0.3,no_autotune (default: %(default)s)"
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
    "config file, or the name of one that ships with munet (joint, gumbel, muir), with a variant: joint:shared, "
    "joint:shared_adapters, joint:separate, gumbel:synthetic, muir:synthetic (default: %(default)s)"
)
_JOINT_EPILOG = """\
Any setting can be changed: --config.num_rounds=500 (of joint and gumbel; muir: --config.generations=500),
--config.seed=1. `munet config --config=NAME` lists those of a method.
"""


def _evolve(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
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


def _extend(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "extend",
        "Adds tasks to a run that is there, or gives its tasks further phases; what it has learnt is not trained\n"
        "again. The same command goes on with an extension that was interrupted.",
        "New tasks: --config.tasks=folder:/data/photos. Their phases may try more or less than those before them:\n"
        "--config.images_per_task, num_generations, stages, search_space.* and the like; all else stays.\n",
    )
    options.add_workdir(parser)
    parser.add_argument(
        "--iterations", default="", metavar="A:N,B:N",
        help="phases of a task, of the run or new (default: of new ones num_task_iterations, of the run's none)",
    )  # fmt: skip
    parser.add_argument("--in_place", action="store_true", help="extend the run itself")
    parser.add_argument(
        "--to", default="", metavar="NEW", help="extend a copy of it, in a new or empty directory; the run stays"
    )
    parser.add_argument(
        "--again", action="store_true", help="extend once more, where the last extension was the same and is complete"
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="print phases, steps, memory and estimated time; write nothing"
    )
    return parser


def _pretrain(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "pretrain",
        "Trains a root from scratch, or goes on where training was interrupted: the same command does both. The\n"
        "root (augreg .npz), its card and its validation curve are put into the work directory.",
        _RECIPE_EPILOG,
    )
    return _with_training(parser, DEFAULT_RECIPE, _RECIPE_HELP, "images, steps")


def _train(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "train",
        "Trains several tasks together by one of three methods, or goes on where that was interrupted: the same\n"
        "command does both. joint fine-tunes one root on all of them (docs/howto/joint.md); in gumbel tasks learn\n"
        "which parts of a network they use (docs/howto/routing.md); in muir they share blocks of weights\n"
        "(docs/howto/muir.md).",
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


def _config(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands, "config", "Lists every setting with its value and its meaning, as `munet evolve` would use it.",
        _OVERRIDE_HELP,
    )  # fmt: skip
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE[:VARIANT]", help=_CONFIG_HELP)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def _devices(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands, "devices", "Says which devices JAX sees, how many of them each stage of a run with these settings\n"
        "keeps at work, and what would use the others. Reads no data.",
        _OVERRIDE_HELP,
    )  # fmt: skip
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE[:VARIANT]", help=_CONFIG_HELP)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def _benchmark(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "benchmark",
        "Runs every method of a suite on the same tasks with several seeds, or goes on with it, and writes "
        "results.parquet, tables and figures. Finished runs are never repeated; a failed one does not stop the others.",
        _OVERRIDE_HELP + "Such settings go to every method. docs/howto/benchmark.md says how to write a suite.\n",
    )
    parser.add_argument(
        "--suite", default=DEFAULT_SUITE, metavar="FILE[:VARIANT]",
        help="suite file, or the name of one that ships with munet (builtin, characters:paper, characters:real, "
        "decathlon, gumbel, muir, small_budgets), with a variant where it has some (default: %(default)s)",
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


COMMANDS: Mapping[str, Callable[[Any], argparse.ArgumentParser]] = {
    "evolve": _evolve,
    "extend": _extend,
    "pretrain": _pretrain,
    "train": _train,
    "config": _config,
    "devices": _devices,
    "benchmark": _benchmark,
}
