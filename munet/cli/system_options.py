"""Commands that look at a run, or use it: status, predict, serve, graph, report, ..., compress, forget."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from munet.cli import options


def _status(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(commands, "status", "Prints what a run has reached; also while it goes on.")
    options.add_workdir(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object, whose form is stable")
    parser.add_argument("--wide", action="store_true", help="every column and every task, however wide that is")
    parser.add_argument(
        "--compare", action="store_true", help="the table of --config.compare: beside the baselines in DIR/baselines"
    )
    parser.add_argument(
        "--task", default="", metavar="NAME", help="one task class by class: worst classes first, and what is confused"
    )
    parser.add_argument(
        "--confusion",
        default="",
        metavar="FILE.svg|png",
        help="with --task: also draw which classes are confused (test split)",
    )
    return parser


def _table(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "table",
        "Prints every child that a run has trained, rejected ones too: its parent, verdict, qualities, sizes, cost,\n"
        "settings and mutations; or how the values of one column spread. Also while the run goes on.",
        "Columns: id, task, iteration, generation, parent, parent_task, seed, kept, retained, reason, cycles,\n"
        " best_cycle, validation, test, score, parent_score, blocks, params, trained_params, layers, trained_layers,\n"
        " image_steps, seconds, changes, mutations, and every hyper-parameter.\n"
        "Example: munet table --columns=id,score,learning_rate,kept --sort=-score",
    )
    options.add_workdir(parser)
    parser.add_argument(
        "--columns", default="", metavar="A,B", help="in this order (default: some of them; with --json or --csv: all)"
    )
    parser.add_argument(
        "--sort", default="", metavar="COLUMN", help="by this column; -COLUMN: the largest first (default: id)"
    )
    parser.add_argument("--task", default="", metavar="NAME", help="only children of this task")
    parser.add_argument(
        "--histogram", default="", metavar="COLUMN", help="how many children have each value, and how many were kept"
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.add_argument("--csv", action="store_true", help="comma-separated, with a head")
    parser.add_argument("--wide", action="store_true", help="every row and column, however wide that is")
    return parser


def _predict(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "predict",
        "Prints the most probable classes of images, a line an image, as they are ready. Files are read as training\n"
        "reads them. Exit code 2 if one cannot be read; all others are answered first.",
        "Example: find scans -name '*.jpg' | munet predict --task=digits --csv --output=answers.csv -",
    )
    options.add_workdir(parser)
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
    options.add_cache_dir(parser)
    return parser


def _serve(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "serve",
        "Answers over HTTP with the models of a run: POST /v1/tasks/TASK/predict and /v1/predict; a page at /, and\n"
        "/openapi.json, /healthz, /readyz, /metrics. SIGTERM or Ctrl-C: what is in flight is answered first.",
        "Needs the extra `serve`. Example: curl -F images=@7.png http://127.0.0.1:8000/v1/tasks/digits/predict",
    )
    options.add_workdir(parser)
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
    options.add_cache_dir(parser)
    return parser


def _graph(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "graph",
        "Draws the layers that the tasks' models are made of, and which they share; as a page, how they came about.",
    )
    options.add_workdir(parser)
    parser.add_argument(
        "--format", default="", metavar="html|svg|png|dot|json|model_explorer",
        help="default: by the ending of --output (.model_explorer.json, too), else svg",
    )  # fmt: skip
    parser.add_argument("--output", "--out", default="", metavar="FILE", help="default: standard output")
    return parser


def _report(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "report",
        "Writes one page with all that a run's journal says: results, the layer graph, lineages, knowledge flow,\n"
        "mutations, costs and settings. It opens without a server and asks for nothing; also while the run goes on.",
        "Example: munet report --workdir=runs/mine --compare runs/other --output=report.html --figures=figures",
    )
    options.add_workdir(parser)
    parser.add_argument(
        "--compare", nargs="+", action="extend", default=[], metavar="DIR",
        help="other runs to show beside it; its baselines are there anyhow",
    )  # fmt: skip
    parser.add_argument("--output", "--out", default="report.html", metavar="FILE.html", help="default: %(default)s")
    parser.add_argument(
        "--figures", default="", metavar="DIR", help="also write every figure as SVG and PNG, and every table as CSV"
    )
    parser.add_argument(
        "--examples", action="store_true", help="open the tasks' data, and show each task's most confident mistakes"
    )
    parser.add_argument(
        "--serve", action="store_true",
        help="show the page on http://127.0.0.1 instead, and keep it up to date as the run goes on (extra `serve`)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8001, metavar="N", help="of --serve (default: %(default)s; 0: any)")
    options.add_data_dir(parser, "with --examples: ")
    options.add_cache_dir(parser)
    return parser


def _animate(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "animate",
        "Shows how a run's system came about as a film of the layer graph, a frame a journal entry.",
        "A GIF needs nothing more; an MP4 the extra `video`.",
    )
    options.add_workdir(parser)
    parser.add_argument(
        "--output", "--out", default="evolution.gif", metavar="FILE.gif|mp4", help="default: %(default)s"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.7, metavar="S", help="that each frame is shown (default: %(default)s)"
    )
    return parser


def _tensorboard(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "tensorboard",
        "Writes TensorBoard's event files from the journals of runs, of past ones too; the runs are only read.\n"
        "Steps are training images; relative times are seconds of training.",
        "Needs the extra `tensorboard`. Example: munet tensorboard --workdir runs/a runs/b --logdir=logs --follow",
    )
    parser.add_argument(
        "--workdir", nargs="+", action="extend", default=[], metavar="DIR",
        help=f"where the runs are kept (default: {options.DEFAULT_WORKDIR})",
    )  # fmt: skip
    parser.add_argument(
        "--logdir", default="logs", metavar="LOGS", help="a folder for each run in it (default: %(default)s)"
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on with what runs commit, until all are complete; Ctrl-C ends it"
    )
    return parser


def _verify(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(commands, "verify", "Checks every component against its hash, and the journal's chain.")
    options.add_workdir(parser)
    parser.add_argument(
        "--tests", action="store_true", help="also measure every test accuracy again: it must be exactly as recorded"
    )
    parser.add_argument(
        "--repair", action="store_true",
        help="first drop a damaged newest journal entry, where the ones before it suffice; the run makes it again",
    )  # fmt: skip
    options.add_data_dir(parser, "with --tests: ")
    return parser


def _export(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "export",
        "Writes a task's model as a folder for other programs, with a model card; or compares such a folder with the\n"
        "system. Nothing is written into the work directory.",
        "Formats: safetensors (a folder that timm opens), npz (augreg, for models without residual adapters) and\n"
        " stablehlo (pixels to probabilities in one program, for JAX alone). docs/howto/export.md has ONNX.",
    )
    parser.add_argument(
        "--workdir", metavar="DIR", default="",
        help=f"where the run is kept (default: {options.DEFAULT_WORKDIR}; --check has to be told)",
    )  # fmt: skip
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


def _compress(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "compress",
        "Writes a smaller copy of a finished run's system: layers are stored as low-rank updates of what they were\n"
        "cloned from, in the lowest ranks whose validation quality holds. The run itself stays as it is.",
    )
    options.add_workdir(parser)
    parser.add_argument("--to", default="", metavar="NEW", help="a new or empty directory for the smaller system")
    parser.add_argument(
        "--tolerance", type=float, default=None, metavar="POINTS",
        help="validation quality that a task may lose, in points (default: its standard error)",
    )  # fmt: skip
    parser.add_argument("--tasks", default="", metavar="A,B", help="compress only these tasks' models (default: all)")
    options.add_data_dir(parser)
    return parser


def _forget(commands: Any) -> argparse.ArgumentParser:
    parser = options.command(
        commands,
        "forget",
        "Takes a task out of a finished run: its model goes, and every file that only it used. What other tasks use\n"
        "stays, bit for bit, and is listed. Shows what it will change, and asks before it does so.",
    )
    options.add_workdir(parser)
    parser.add_argument("--task", default="", metavar="NAME", help="which")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


COMMANDS: Mapping[str, Callable[[Any], argparse.ArgumentParser]] = {
    "status": _status,
    "table": _table,
    "predict": _predict,
    "serve": _serve,
    "graph": _graph,
    "report": _report,
    "animate": _animate,
    "tensorboard": _tensorboard,
    "verify": _verify,
    "export": _export,
    "compress": _compress,
    "forget": _forget,
}
